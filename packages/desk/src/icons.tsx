/** Line drawings, 20 by 20. They only accompany words, so readers of the screen do not hear them. */
const paths = {
  mine: 'M10 10a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM3.8 16.6c.7-2.9 3.2-4.4 6.2-4.4s5.5 1.5 6.2 4.4',
  unassigned: 'M3.5 11.5 5.3 4.8h9.4l1.8 6.7v3.7H3.5v-3.7ZM3.5 11.5h3.7l1 1.9h3.6l1-1.9h3.7',
  open: 'M3.5 5.5h9.3v6.2H8l-2.5 2.2v-2.2h-2V5.5ZM15 8.3h1.7v6h-1.6v2l-2.3-2H9.8',
  closed: 'M4.5 10.4l3.7 3.7 7.5-8',
  inbox: 'M4 4.5h12v11H4zM4 11h3.4l.9 1.7h3.4l.9-1.7H16',
  people:
    'M7.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM2.8 15.5c.5-2.3 2.4-3.5 4.7-3.5s4.2 1.2 4.7 3.5M12.6 9.3a2.3 2.3 0 0 0 0-4.5M14.2 12.3c1.6.4 2.7 1.5 3.1 3.2',
  more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
  out: 'M8.5 4h-4v12h4M12 6.5l3.5 3.5-3.5 3.5M15.5 10H8',
  back: 'M12 4.5 6.5 10l5.5 5.5',
  details: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM10 9.3v4M10 6.7h.01',
  attach:
    'M15.5 9.3l-5.7 5.7a3.3 3.3 0 0 1-4.7-4.7l6-6a2.2 2.2 0 0 1 3.1 3.1l-5.9 5.9a1.1 1.1 0 0 1-1.6-1.6l5.2-5.2',
  send: 'M4 10h11M10.5 5l5 5-5 5',
  down: 'M5.5 8l4.5 4.5L14.5 8',
  copy: 'M7.5 7.5h8v8h-8zM12.5 7.5v-3h-8v8h3',
  file: 'M5.5 3.5h6l3 3v10h-9zM11.5 3.5v3h3',
  close: 'M5.5 5.5l9 9M14.5 5.5l-9 9',
  check: 'M4.5 10.4l3.7 3.7 7.5-8',
  checks: 'M2.5 10.4l3.3 3.7 6.7-8M9.5 13.6l.5.5 7.3-8',
  wait: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM10 6.5V10l2.3 1.8',
  alert: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM10 6.5v4.2M10 13.3h.01',
  verified:
    'M10 2.8l5.8 2.1v4.5c0 3.7-2.4 6.3-5.8 7.8-3.4-1.5-5.8-4.1-5.8-7.8V4.9L10 2.8ZM7.3 9.9l1.9 1.9 3.5-3.8',
  note: 'M4.5 3.5h11v8l-4 4.5h-7zM11.5 16v-4.5h4',
  link: 'M8.3 11.7a2.8 2.8 0 0 0 4 0l2.6-2.6a2.8 2.8 0 0 0-4-4l-.8.8M11.7 8.3a2.8 2.8 0 0 0-4 0l-2.6 2.6a2.8 2.8 0 0 0 4 4l.8-.8',
} as const

export type IconName = keyof typeof paths

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}
