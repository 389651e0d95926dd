/** How long messages that came into sight are gathered (ms), to be marked together. */
const gatheringTime = 250;

/** Marks messages as read that somebody has in front of them: each down to its end, inside of `scroller`, on a page that is in front. */
export class ReadMarks {
    #client;
    #observer;
    /** Message ids by the element that the message ends with. */
    #watched = new WeakMap();
    #inSight = new Set();
    #marked = new Set();
    #timer;

    constructor(client, scroller) {
        this.#client = client;
        this.#observer = new IntersectionObserver((entries) => this.#see(entries), { root: scroller });
        document.addEventListener("visibilitychange", this.#schedule);
    }

    /** Waits for the element to be seen with which the message ends. Asked again, it does nothing more. */
    watch(element, id) {
        if (this.#watched.has(element)) return;
        this.#watched.set(element, id);
        this.#observer.observe(element);
    }

    close() {
        this.#observer.disconnect();
        clearTimeout(this.#timer);
        document.removeEventListener("visibilitychange", this.#schedule);
    }

    #see(entries) {
        for (const { target, isIntersecting } of entries) {
            const id = this.#watched.get(target);
            if (isIntersecting && !this.#marked.has(id)) this.#inSight.add(id);
            else this.#inSight.delete(id);
        }
        this.#schedule();
    }

    #schedule = () => {
        clearTimeout(this.#timer);
        if (this.#inSight.size > 0 && !document.hidden) this.#timer = setTimeout(() => this.#mark(), gatheringTime);
    };

    async #mark() {
        const messageIds = Array.from(this.#inSight);
        this.#inSight.clear();
        for (const id of messageIds) this.#marked.add(id);
        try {
            await this.#client.mutation("messages:markAsRead", { messageIds });
        } catch {
            // The page is being closed. They stay unread, and are marked when they are seen the next time.
            for (const id of messageIds) this.#marked.delete(id);
        }
    }
}
