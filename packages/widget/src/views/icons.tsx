import type { ComponentChildren } from 'preact'

/** Drawn on a grid of 24, in the colour of the text around them, and never read out. */
function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      {children}
    </svg>
  )
}

export const CloseIcon = () => (
  <Icon>
    <path d="M6.5 6.5l11 11M17.5 6.5l-11 11" />
  </Icon>
)

export const SendIcon = () => (
  <Icon>
    <path d="M12 19V5.5M6 11.2l6-6 6 6" />
  </Icon>
)

export const ClipIcon = () => (
  <Icon>
    <path d="M19.5 11.5l-7.4 7.4a4.6 4.6 0 0 1-6.5-6.5l7.7-7.7a3.1 3.1 0 0 1 4.4 4.4l-7.7 7.7a1.5 1.5 0 0 1-2.2-2.2l7-7" />
  </Icon>
)

export const FileIcon = () => (
  <Icon>
    <path d="M13.5 3.5h-6a2 2 0 0 0-2 2v13a2 2 0 0 0 2 2h9a2 2 0 0 0 2-2v-10zM13.5 3.5v5h5" />
  </Icon>
)

export const DownIcon = () => (
  <Icon>
    <path d="M12 5.5V18M6.5 12.8l5.5 5.5 5.5-5.5" />
  </Icon>
)

export const ClockIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.2" />
    <path d="M12 7.5V12l3 2" />
  </Icon>
)

export const AlertIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.5" />
    <path d="M12 7.8v5M12 16.1v.1" />
  </Icon>
)

export const BubbleIcon = () => (
  <Icon>
    <path d="M4.5 8.3a3.8 3.8 0 0 1 3.8-3.8h7.4a3.8 3.8 0 0 1 3.8 3.8v5a3.8 3.8 0 0 1-3.8 3.8H11l-4.2 3.4v-3.7a3.8 3.8 0 0 1-2.3-3.5z" />
  </Icon>
)
