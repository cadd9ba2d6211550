/** A pattern for LIKE that finds this text anywhere, whatever characters it is made of. */
export const containing = (text: string) => `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
