// The demo page's own script: the embed line shows where this server is, and a missing inbox is explained.
for (const place of document.querySelectorAll('#origin')) place.textContent = location.origin
const script = document.querySelector('script[data-inbox]')
document.querySelector('#missing')?.toggleAttribute('hidden', script?.dataset.inbox !== '')
