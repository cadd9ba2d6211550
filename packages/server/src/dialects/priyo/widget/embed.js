// The widget for pages of the old service: a button, a panel, the visitors' routes and one socket. It finds the server
// by its own address, so it also works on pages of other origins that the server allows.
;(() => {
  const me = document.currentScript
  const base = new URL('..', me.src).href.replace(/\/$/, '')
  const widgetId = me.dataset.widgetId || 'default-widget'
  const key = 'priyo-visitor'
  const visitorId = localStorage.getItem(key) || crypto.randomUUID() + crypto.randomUUID()
  localStorage.setItem(key, visitorId)

  const shown = new Set()
  let conversationId

  const element = (tag, style, text = '') => {
    const made = document.createElement(tag)
    made.style.cssText = style
    made.textContent = text
    return made
  }
  const button = element(
    'button',
    'position:fixed;right:20px;bottom:20px;padding:12px 18px;border:0;border-radius:24px;background:#2f6f5e;color:#fff;font:16px sans-serif;cursor:pointer',
    'Chat',
  )
  const panel = element(
    'section',
    'display:none;position:fixed;right:20px;bottom:76px;width:320px;height:420px;background:#fff;color:#222;border:1px solid #ccc;border-radius:8px;flex-direction:column;font:15px sans-serif',
  )
  const lines = element('div', 'flex:1;overflow:auto;padding:12px')
  const form = element('form', 'display:flex;border-top:1px solid #ccc')
  const input = element('input', 'flex:1;border:0;padding:12px;font:inherit')
  lines.setAttribute('role', 'log')
  input.setAttribute('aria-label', 'Message')
  input.maxLength = 5000
  form.append(input)
  panel.append(lines, form)
  document.body.append(button, panel)

  const show = ({ id, content, sender }) => {
    if (shown.has(id)) return
    shown.add(id)
    const line = element('p', `margin:0 0 8px;text-align:${sender === 'user' ? 'right' : 'left'}`, content)
    lines.append(line)
    lines.scrollTop = lines.scrollHeight
  }
  const post = async (path, body) => {
    const answer = await fetch(`${base}/api/widget/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ visitorId, ...body }),
    })
    return answer.json()
  }
  const listen = () => {
    const script = document.createElement('script')
    script.src = `${base}/widget/socket.io.min.js`
    script.onload = () => {
      const socket = window.io(base, { auth: { visitorId: widgetId }, transports: ['websocket', 'polling'] })
      socket.on('connect', () => socket.emit('conversation:join', conversationId))
      socket.on('new-message', show)
    }
    document.head.append(script)
  }
  const begin = async () => {
    const { conversation } = await post('conversation', {})
    conversationId = conversation.id
    conversation.messages.forEach(show)
    listen()
  }

  button.addEventListener('click', () => {
    const opens = panel.style.display === 'none'
    panel.style.display = opens ? 'flex' : 'none'
    if (opens && !conversationId) begin()
  })
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const message = input.value.trim()
    if (!message || !conversationId) return
    input.value = ''
    const answer = await post('message', { message, conversationId })
    if (answer.success) show(answer.message)
  })
})()
