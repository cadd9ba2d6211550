export class SendQueue {}
