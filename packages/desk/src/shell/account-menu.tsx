import { Menu } from '@base-ui/react/menu'
import type { Inbox } from '@parley/protocol'
import { Link } from '@tanstack/react-router'
import { session } from '../account.ts'
import { useDesk, useStore } from '../at-desk.tsx'
import { Avatar } from '../avatar.tsx'
import { Icon } from '../icons.tsx'
import { rank } from '../settings/rank.ts'
import { singleKeys } from './shortcuts.ts'

/** Who I am here, the pages that are not conversations, and the way out. */
export function AccountMenu({ inboxes }: { inboxes: readonly Inbox[] }) {
  const { user } = useDesk()
  const keys = useStore(singleKeys)
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="account" aria-label={`Menu of ${user.name}`} title={user.name}>
        <Avatar id={user.id} name={user.name} size="small" />
        <span className="rail-name">{user.name}</span>
        <span className="rail-more">More</span>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner side="top" align="start" sideOffset={8} collisionPadding={8} className="menu-place">
          <Menu.Popup className="menu">
            <p className="menu-heading">
              {user.name} · {user.role}
            </p>
            {inboxes.length > 1 ? (
              <div className="menu-phone-only">
                {inboxes.map((inbox) => (
                  <Menu.Item
                    key={inbox.id}
                    className="menu-item"
                    render={<Link to="/$view" params={{ view: inbox.id }} />}
                  >
                    <span className="rail-dot" style={{ background: inbox.color }} />
                    {inbox.name}
                  </Menu.Item>
                ))}
                <Menu.Separator className="menu-line" />
              </div>
            ) : null}
            <Menu.Item className="menu-item" render={<Link to="/settings/inboxes" />}>
              <Icon name="inbox" /> Inboxes and embed code
            </Menu.Item>
            <Menu.Item className="menu-item" render={<Link to="/settings/people" />}>
              <Icon name="people" />{' '}
              {rank(user.role) >= rank('supervisor') ? 'People and invitations' : 'People'}
            </Menu.Item>
            <Menu.Separator className="menu-line" />
            <Menu.CheckboxItem className="menu-item" checked={keys} onCheckedChange={singleKeys.set}>
              <span className="menu-check">
                <Menu.CheckboxItemIndicator>
                  <Icon name="check" />
                </Menu.CheckboxItemIndicator>
              </span>
              Single-key shortcuts
            </Menu.CheckboxItem>
            <Menu.Separator className="menu-line" />
            <Menu.Item className="menu-item" onClick={() => void session.logout()}>
              <Icon name="out" /> Sign out
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  )
}
