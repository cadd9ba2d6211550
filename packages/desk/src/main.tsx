import './looks.css'
import { createRoot } from 'react-dom/client'
import { Desk } from './desk.tsx'

const place = document.getElementById('desk')
if (!place) throw new Error('index.html has no #desk')
createRoot(place).render(<Desk />)
