/** Lets listeners outlive a reload: they keep this handler, and the part behind it changes. */
import type { MessageHandler, QueryChannel } from "@sotto/dns/transport";

/** Hands every message to whatever handler is current. */
export class HandlerSwitch implements MessageHandler {
  current: MessageHandler;

  constructor(first: MessageHandler) {
    this.current = first;
  }

  answer(octets: Uint8Array, channel: QueryChannel): ReturnType<MessageHandler["answer"]> {
    return this.current.answer(octets, channel);
  }
}
