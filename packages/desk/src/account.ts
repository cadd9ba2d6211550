import { browserStorage } from '@parley/client'
import { staffSession } from '@parley/client/staff'

/** Everything this browser keeps for the desk carries this name. */
export const namespace = 'parley-desk'

export const storage = browserStorage()

/** Who is signed in here, over reloads and in all tabs. */
export const session = staffSession({ baseUrl: '', storage, namespace })
