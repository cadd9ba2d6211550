/** Every word the widget says, in English. A translation is another object of these shapes. */

/** What the loader says, apart from the rest because it is on every page of the site. */
export const launcherStrings = {
  open: 'Open chat',
  unread: (count: number) => `${count} unread`,
  failed: 'The chat could not be loaded. Please try again.',
}

export const strings = {
  panel: (inbox: string) => `Chat with ${inbox}`,
  fallbackName: 'Chat',
  fallbackGreeting: 'How can we help?',
  close: 'Close chat',
  with: (names: string) => `With ${names}`,
  connecting: 'Connecting…',
  offline: 'You’re offline. Your messages are kept and go out as soon as you’re back.',
  unreachable: 'Can’t reach us right now. Your messages are kept, and we keep trying.',
  refused: {
    identity: 'Please sign in on this site to chat with us.',
    origin: 'This chat is not available on this site.',
    gone: 'This chat is not available at the moment.',
  },
  hint: 'Send a message below. You can leave this page and come back: your conversation stays here.',
  log: 'Messages',
  earlier: 'Show earlier messages',
  loading: 'Loading messages…',
  loadFailed: 'The messages could not be loaded yet.',
  newBelow: 'New messages',
  newFrom: 'New',
  today: 'Today',
  yesterday: 'Yesterday',
  you: 'You',
  team: 'Team',
  edited: 'edited',
  retracted: 'This message was removed',
  status: {
    queued: 'Waiting to be sent',
    sending: 'Sending…',
    sent: 'Sent',
    delivered: 'Delivered',
    read: 'Read',
    failed: 'Not sent',
  },
  retry: 'Try again',
  edit: 'Edit',
  discard: 'Remove',
  typing: (names: readonly string[]) =>
    names.length === 1
      ? `${names[0]} is typing`
      : names.length === 2
        ? `${names[0]} and ${names[1]} are typing`
        : 'Several people are typing',
  closed: 'This conversation was closed.',
  closedWriting: 'This conversation was closed. Your message opens it again, or begins a new one.',
  writeAgain: 'Write again',
  message: 'Message',
  placeholder: 'Write a message…',
  send: 'Send',
  attach: 'Attach a file',
  uploading: (name: string) => `Uploading ${name}`,
  uploadFailed: (name: string) => `${name} could not be uploaded`,
  removeFile: (name: string) => `Remove ${name}`,
}
