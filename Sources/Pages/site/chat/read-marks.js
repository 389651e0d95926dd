/** How long messages that came into sight are gathered (ms), to be marked together. */
const gatheringTime = 250;
/** More than this the server does not mark at once. */
const mostAtOnce = 1000;

/**
 * Marks messages as read that somebody has in front of them, each down to its end, on a page that is in sight; and with
 * them the older ones, which were scrolled past.
 */
export class ReadMarks {
    #client;
    #observer;
    /** Message ids by the element that the message ends with. */
    #watched = new WeakMap();
    /** Messages that are not marked. */
    #unread = new Set();
    /** The newest message that was in sight. */
    #newest = "";
    #timer;

    /** @param {Element} scroller  what the messages are seen in */
    constructor(client, scroller) {
        this.#client = client;
        this.#observer = new IntersectionObserver((entries) => this.#see(entries), { root: scroller });
        document.addEventListener("visibilitychange", this.#schedule);
    }

    /** Waits for the element to be seen with which an unread message ends. Asked again, it does nothing more. */
    watch(element, id) {
        if (this.#watched.has(element)) return;
        this.#watched.set(element, id);
        this.#unread.add(id);
        this.#observer.observe(element);
    }

    close() {
        this.#observer.disconnect();
        clearTimeout(this.#timer);
        document.removeEventListener("visibilitychange", this.#schedule);
    }

    #see(entries) {
        for (const { target, isIntersecting } of entries) {
            // Ids are ordered by time.
            if (isIntersecting && this.#watched.get(target) > this.#newest) this.#newest = this.#watched.get(target);
        }
        this.#schedule();
    }

    #schedule = () => {
        clearTimeout(this.#timer);
        if (this.#seen.length > 0 && !document.hidden) this.#timer = setTimeout(() => this.#mark(), gatheringTime);
    };

    get #seen() {
        return Array.from(this.#unread).filter((id) => id <= this.#newest);
    }

    async #mark() {
        const messageIds = this.#seen.slice(0, mostAtOnce);
        for (const id of messageIds) this.#unread.delete(id);
        try {
            await this.#client.mutation("messages:markAsRead", { messageIds });
            this.#schedule();
        } catch {
            // The page is being closed. They stay unread, and are marked when they are seen the next time.
        }
    }
}
