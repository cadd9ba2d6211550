import { connect, type Parley, type Store } from '@parley/client'
import type { User, Workspace } from '@parley/protocol'
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import { namespace, session, storage } from './account.ts'
import { type Directory, directory } from './directory.ts'

/** What every part of the desk stands on: the client, who sits here, and the people and inboxes around. */
export type DeskContext = {
  readonly parley: Parley
  readonly directory: Directory
  readonly user: User
  readonly workspace: Workspace
}

const Context = createContext<DeskContext | null>(null)

/** Connects for as long as it is drawn. Must be keyed by the user: another person is another connection. */
export function AtDesk(props: { user: User; workspace: Workspace; children: ReactNode }) {
  const { user, workspace } = props
  const [desk] = useState<DeskContext>(() => {
    const parley = connect({
      baseUrl: '',
      credentials: session,
      storage,
      namespace,
      notices: true,
      start: false,
    })
    return { parley, directory: directory(parley), user, workspace }
  })
  useEffect(() => {
    desk.parley.start()
    return () => desk.parley.close()
  }, [desk])
  return <Context value={desk}>{props.children}</Context>
}

export function useDesk(): DeskContext {
  const desk = useContext(Context)
  if (!desk) throw new Error('useDesk outside of AtDesk')
  return desk
}

/** Draws a store of the client: again whenever it changed. */
export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get)
}
