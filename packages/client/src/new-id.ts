/** A name that nothing else has, for a message. `crypto.randomUUID` is missing on pages without https. */
export const newId = (): string => crypto.getRandomValues(new Uint32Array(4)).join('-')
