import { randomUUID } from "../shared/values.js";

/**
 * Messages that somebody has sent here and that no list shows yet.
 *
 * Each has an id of its own, which the server knows it by: however often it is sent, it arrives once.
 */
export class Outbox extends EventTarget {
    #client;
    #messages = [];

    /** Event `change`: a message was added, sent, refused or thrown away. */
    constructor(client) {
        super();
        this.#client = client;
    }

    /** The messages for somebody, in the order they were written: `{id, content, createdAt, failure?}`. */
    messagesTo(recipientId) {
        return this.#messages.filter((message) => message.recipientId === recipientId);
    }

    send(recipientId, content) {
        const message = { id: randomUUID(), recipientId, content, createdAt: Date.now() };
        this.#messages.push(message);
        this.#deliver(message);
    }

    /** Sends a message again that was refused. */
    retry(message) {
        delete message.failure;
        this.#deliver(message);
    }

    discard(message) {
        this.#messages = this.#messages.filter((each) => each !== message);
        this.#changed();
    }

    async #deliver(message) {
        this.#changed();
        const { id, recipientId, content } = message;
        try {
            await this.#client.mutation("messages:send", { recipientId, content, clientMessageId: id });
            // From now on the conversation itself shows it.
            this.discard(message);
        } catch (error) {
            message.failure = error.message;
            this.#changed();
        }
    }

    #changed() {
        this.dispatchEvent(new Event("change"));
    }
}
