import { Menu } from '@base-ui/react/menu'
import { useDesk, useStore } from '../at-desk.tsx'
import { Avatar } from '../avatar.tsx'
import { known } from '../directory.ts'
import { Icon } from '../icons.tsx'
import type { NameOf } from './people.ts'

type AssignMenuProps = {
  assigneeId: string | null
  nameOf: NameOf
  assign(userId: string | null): void
}

/** Who has the conversation, and to whom it can be given. */
export function AssignMenu({ assigneeId, nameOf, assign }: AssignMenuProps) {
  const { directory, user } = useDesk()
  const list = useStore(directory.team)
  const team = known(list).filter((one) => one.deactivatedAt === null && one.role !== 'bot')
  const others = team.filter((one) => one.id !== user.id).sort((a, b) => a.name.localeCompare(b.name))
  const label = assigneeId ? `Assigned to ${assigneeId === user.id ? 'you' : nameOf(assigneeId)}` : 'Assign'
  return (
    <Menu.Root modal={false} onOpenChange={(open) => open && void directory.team.reload()}>
      <Menu.Trigger className="button assign" aria-label={label} title={label}>
        {assigneeId ? (
          <Avatar
            id={assigneeId}
            name={assigneeId === user.id ? user.name : nameOf(assigneeId)}
            size="small"
          />
        ) : (
          <span className="assign-nobody">
            <Icon name="people" />
          </span>
        )}
        <span className="assign-name">{assigneeId ? nameOf(assigneeId) : 'Assign'}</span>
        <Icon name="down" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner align="end" sideOffset={6} collisionPadding={8} className="menu-place">
          <Menu.Popup className="menu" aria-label="Assign to">
            {[user, ...others].map((one) => (
              <Menu.Item key={one.id} className="menu-item" onClick={() => assign(one.id)}>
                <Avatar id={one.id} name={one.name} size="small" />
                {one.name}
                {one.id === user.id ? <span className="hint">you</span> : null}
                {one.id === assigneeId ? (
                  <span className="end">
                    <Icon name="check" />
                    <span className="unseen">has it</span>
                  </span>
                ) : null}
              </Menu.Item>
            ))}
            {list.phase === 'failed' ? <p className="menu-heading">The team could not be loaded.</p> : null}
            {assigneeId ? (
              <>
                <Menu.Separator className="menu-line" />
                <Menu.Item className="menu-item" onClick={() => assign(null)}>
                  <Icon name="unassigned" /> Nobody: back to the inbox
                </Menu.Item>
              </>
            ) : null}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  )
}
