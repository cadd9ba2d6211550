import { createSecretKey } from 'node:crypto'
import { SignJWT } from '/work/main/node_modules/jose/dist/webapi/index.js'
import { io } from '/work/main/node_modules/socket.io-client/build/esm/index.js'
import { startServer } from '/work/main/packages/server/src/testing.ts'
const server = await startServer({ args: ['--demo'], env: { PARLEY_MOUNTS: 'tutorgo:0' } })
const root = server.running.mounts[0].url
const secret = server.running.demo.identitySecret
const token = (userId, role='student') => new SignJWT({ userId, role, exp: Date.now()/1000+3600|0 }).setProtectedHeader({ alg: 'HS256' }).sign(createSecretKey(Buffer.from(secret)))
const admin = await token('operator','ADMIN')
const H = (t) => ({ authorization: `Bearer ${t}`, 'content-type':'application/json' })
const pairs = 50, each = 200, window = 20
const bookings = Array.from({length:pairs},(_, i)=>({studentId:`s${i}`,tutorId:`t${i}`,status:'confirmed'}))
let r = await fetch(`${root}/chat/bookings`,{method:'POST',headers:H(admin),body:JSON.stringify(bookings)})
console.log(r.status)
const socks = []
for (const b of bookings) {
  const [s,t] = [b.studentId,b.tutorId]
  const mk = async (id) => { const k = io(root,{auth:{token:await token(id)},transports:['websocket'],forceNew:true}); await new Promise(r=>k.once('connected',r)); return k }
  socks.push({ s: await mk(s), t: await mk(t), b })
}
async function pump(send) { let next=0; await Promise.all(Array.from({length:window}, async()=>{ while(next++<each) await send() })) }
for (const k of socks) await k.s.emitWithAck('send-message',{conversationId:`${k.b.studentId}_${k.b.tutorId}`,receiverId:k.b.tutorId,message:'first'})
for (let round=0; round<2; round++) {
  let t0=performance.now()
  await Promise.all(socks.map(({s,b})=>pump(()=>s.emitWithAck('send-message',{conversationId:`${b.studentId}_${b.tutorId}`,receiverId:b.tutorId,message:'hello there'}))))
  console.log('tutorgo sends/s', Math.round(pairs*each/(performance.now()-t0)*1000))
  if (round===0) {
    // native
    const natives=[]
    for (let i=0;i<pairs;i++){ const a=await server.person('agent','a'+i), c=await server.person('contact','c'+i)
      const conv=(await a.call('conversation.create',{kind:'direct',participantIds:[c.userId]})).conversation.id
      natives.push({a:await a.connect(), c: await c.connect(), conv}) }
    await server.close
    globalThis.natives=natives
  }
  t0=performance.now()
  await Promise.all(natives.map(({a,conv})=>pump(()=>a.command('message.send',{conversationId:conv,clientMessageId:crypto.randomUUID(),body:'hello there'}))))
  for (const n of natives) { n.a.heard.length=0; n.c.heard.length=0 }
  console.log('native sends/s', Math.round(pairs*each/(performance.now()-t0)*1000))
}
for (const k of socks) { k.s.close(); k.t.close() }
for (const n of natives) { n.a.websocket.close(); n.c.websocket.close() }
// list of 200
const many = Array.from({length:200},(_, i)=>({studentId:`big`,tutorId:`peer${i}`,status:'confirmed'}))
await fetch(`${root}/chat/bookings`,{method:'POST',headers:H(admin),body:JSON.stringify(many)})
const me = await token('big')
const k = io(root,{auth:{token:me},transports:['websocket'],forceNew:true}); await new Promise(r=>k.once('connected',r))
for (const b of many) { const id=['big',b.tutorId].sort().join('_'); const a=await k.emitWithAck('send-message',{conversationId:id,receiverId:b.tutorId,message:'x'}); if(!a.success) console.log(a) }
const times=[]; for (let i=0;i<12;i++){ const t=performance.now(); const rows=await (await fetch(`${root}/chat/conversations/big`,{headers:H(me)})).json(); times.push(performance.now()-t); if(i===0) console.log(rows.length) }
console.log('list 200 ms', times.map(x=>x.toFixed(1)).join(' '))
// mark 4200
const peer = io(root,{auth:{token:await token('peer0')},transports:['websocket'],forceNew:true}); await new Promise(r=>peer.once('connected',r))
const id=['big','peer0'].sort().join('_')
await Promise.all(Array.from({length:42},()=>(async()=>{for(let i=0;i<100;i++) await peer.emitWithAck('send-message',{conversationId:id,receiverId:'big',message:'y'})})()))
let t=performance.now(); const mark=await fetch(`${root}/chat/conversations/${id}/read`,{method:'PATCH',headers:H(me)}); await mark.text(); console.log('mark 4200 ms',(performance.now()-t).toFixed(1))
t=performance.now(); await (await fetch(`${root}/chat/messages/${id}?offset=4000`,{headers:H(me)})).json(); console.log('deep page ms',(performance.now()-t).toFixed(1))
k.close(); peer.close()
await server[Symbol.asyncDispose]()
process.exit(0)
