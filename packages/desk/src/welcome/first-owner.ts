/** Whether the server has its first owner, as it said when it gave out this page; null if it could not say. */
export function hasFirstOwner(): boolean | null {
  const { owner } = document.documentElement.dataset
  return owner === undefined ? null : owner === 'made'
}

/** Somebody has become it on this page. */
export function firstOwnerMade(): void {
  document.documentElement.dataset.owner = 'made'
}
