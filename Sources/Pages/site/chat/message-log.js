import { element, setAttribute, setText, typed, updateList } from "../shared/dom.js";
import { formatDay, formatMoment, formatTime } from "../shared/format.js";
import { icon } from "./icons.js";
import { ReadMarks } from "./read-marks.js";

/** Messages of one person that follow each other within this time (ms) stand closer together. */
const groupingTime = 5 * 60_000;
/** Closer to the end than this (px), new messages are scrolled to. */
const nearEnd = 80;
/** Closer to the start than this (px), older messages are asked for. */
const nearStart = 800;

/** The messages of a conversation, the newest at the bottom. Older ones are read when one scrolls up. */
export class MessageLog {
    view;

    #onNearStart;
    #outbox;
    #marks;
    #start = element("div", { class: "log-start" });
    #list = element("ol", { class: "messages" });
    #scroller = element(
        "div", { class: "log", role: "log", "aria-label": "Messages", "aria-live": "off", tabindex: "0" }, this.#start, this.#list);
    #toEndWords = element("span");
    #toEnd = element(
        "button", { type: "button", class: "button to-end", hidden: true, onclick: () => this.#scrollToEnd() },
        this.#toEndWords, icon("down"));
    /** Reads new messages out, which the log does not: it also gets older ones. */
    #announcer = element("p", { class: "unseen", role: "status" });
    #observer = new ResizeObserver(() => this.#keepEnd());

    #isAtEnd = true;
    #hasNews = false;
    /** The newest message that was there at the last drawing. */
    #newestId;
    /** The first message that was unread when the conversation was opened. */
    #firstUnreadId;
    #isOpened = false;

    constructor({ client, outbox, onNearStart }) {
        this.#outbox = outbox;
        this.#onNearStart = onNearStart;
        this.#marks = new ReadMarks(client, this.#scroller);
        this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
        this.#observer.observe(this.#scroller);
        this.view = element("div", { class: "log-frame" }, this.#scroller, this.#toEnd, this.#announcer);
    }

    /**
     * @param list  a PagedQuery of messages, the newest first; undefined when there are none yet
     * @param outgoing  messages that are on their way
     */
    draw({ person, list, outgoing }) {
        const messages = (list?.items ?? []).toReversed();
        const isFirst = !this.#isOpened && list && !list.isEmpty;
        if (isFirst) this.#firstUnreadId = messages.find((message) => isUnread(message, person))?._id;
        this.#noticeNews(messages, person);
        this.#keepPlace(() => {
            this.#drawStart(person, list);
            updateList(this.#list, this.#rows(messages, outgoing, person), {
                key: ({ key }) => key,
                make: (row) => row.make(row),
                update: (made, row) => row.update?.(made, row),
            });
        });
        if (isFirst) this.#begin();
        this.#scrolled();
    }

    /** The next message was written here: whoever writes wants to see it. */
    followNextMessage() {
        this.#isAtEnd = true;
        this.#firstUnreadId = undefined;
    }

    close() {
        this.#marks.close();
        this.#observer.disconnect();
    }

    // MARK: Rows

    #rows(messages, outgoing, person) {
        const shown = [...delivered(messages, outgoing, person), ...outgoing.map(onItsWay)];
        const rows = [];
        let before;
        for (const message of shown) {
            const day = new Date(message.createdAt).toDateString();
            const isNewDay = !before || new Date(before.createdAt).toDateString() !== day;
            if (isNewDay) rows.push({ key: `day ${day}`, moment: message.createdAt, make: dayRow, update: updateDay });
            if (message.key === this.#firstUnreadId) rows.push({ key: "unread", make: unreadRow });
            const isSoonAfter = !isNewDay && message.createdAt - before.createdAt < groupingTime;
            const continues = isSoonAfter && before.isMine === message.isMine;
            rows.push({ ...message, person, continues, make: messageRow, update: (made, row) => this.#updateMessage(made, row) });
            before = message;
        }
        return rows;
    }

    #updateMessage(made, { key, isMine, person, continues, state, isUnread, outgoing }) {
        setText(made.querySelector(".author"), isMine ? "You" : person.name);
        made.classList.toggle("continues", continues);
        made.classList.toggle("has-failed", Boolean(outgoing?.failure));
        setText(made.querySelector(".state"), state);
        if (isUnread) this.#marks.watch(made.querySelector(".meta"), key);
        this.#updateFailure(made, outgoing);
    }

    #updateFailure(made, outgoing) {
        const shown = made.querySelector(".failure");
        if (!outgoing?.failure) return shown?.remove();
        if (shown) return;
        made.append(
            element(
                "div", { class: "failure", role: "alert" },
                element("p", {}, `Not sent. ${outgoing.failure}`),
                element("button", { type: "button", class: "link", onclick: () => this.#outbox.retry(outgoing) }, "Try again"),
                element("button", { type: "button", class: "link", onclick: () => this.#outbox.discard(outgoing) }, "Discard")));
    }

    #drawStart(person, list) {
        const [style, words] =
            list?.error ? ["notice danger", `The messages cannot be shown. ${list.error.message}`]
            : list?.isLoading ? ["waiting", "Loading…"]
            : list?.hasMore ? ["waiting", ""]
            : person.isRemoved ? ["beginning", "This is where your conversation begins."]
            : ["beginning", "Only the two of you can read this conversation."];
        const shown = this.#start.firstElementChild;
        if (shown?.className === style && shown.textContent === words) return;
        this.#start.replaceChildren(element("p", { class: style }, words));
    }

    // MARK: News

    /** Tells of messages that the other one has written since the last drawing. */
    #noticeNews(messages, person) {
        const newest = messages.at(-1);
        const known = this.#newestId;
        this.#newestId = newest?._id;
        // Ids are ordered by time.
        const news = this.#isOpened ? messages.filter(({ _id, senderId }) => senderId === person._id && _id > (known ?? "")) : [];
        if (news.length === 0) return;
        this.#hasNews = !this.#isAtEnd;
        setText(this.#announcer, news.map(({ content }) => `${person.name}: ${content}`).join("\n"));
    }

    // MARK: Scrolling

    /** Begins where one left off: at the first unread message, or at the end. */
    #begin() {
        this.#isOpened = true;
        const divider = this.#list.querySelector(".unread-divider");
        if (divider) this.#scroller.scrollTop = divider.offsetTop - this.#scroller.clientHeight / 4;
        else this.#scrollToEnd();
    }

    /** Changes the rows without moving those that are read: the end stays in sight, or the first row that is. */
    #keepPlace(change) {
        if (this.#isAtEnd) {
            change();
            return this.#scrollToEnd();
        }
        const top = this.#scroller.getBoundingClientRect().top;
        // No heading: that of a day moves up with older messages of that day.
        const messages = Array.from(this.#list.querySelectorAll(".message"));
        const anchor = messages.find((row) => row.getBoundingClientRect().bottom > top);
        const before = anchor?.getBoundingClientRect().top;
        change();
        if (anchor?.isConnected) this.#scroller.scrollTop += anchor.getBoundingClientRect().top - before;
    }

    /** The window has become another size, for instance by a keyboard on the screen. */
    #keepEnd() {
        if (this.#isAtEnd) this.#scrollToEnd();
    }

    #scrollToEnd() {
        this.#scroller.scrollTop = this.#scroller.scrollHeight;
    }

    #scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
        // Not on the screen.
        if (clientHeight === 0) return;
        const below = scrollHeight - scrollTop - clientHeight;
        this.#isAtEnd = below < nearEnd;
        if (this.#isAtEnd) this.#hasNews = false;
        this.#drawToEnd(below > clientHeight / 2 || this.#hasNews);
        if (scrollTop < nearStart) this.#onNearStart();
    }

    #drawToEnd(isNeeded) {
        setAttribute(this.#toEnd, "hidden", !isNeeded);
        const words = this.#hasNews ? "New messages" : "";
        setAttribute(this.#toEnd, "aria-label", words || "Latest messages");
        setText(this.#toEndWords, words);
    }
}

function isUnread({ senderId, read }, person) {
    return senderId === person._id && !read;
}

/** One's own messages show what became of them: the last one that was read, and the last one of all. */
function delivered(messages, outgoing, person) {
    const mine = messages.filter(({ senderId }) => senderId !== person._id);
    const lastRead = mine.findLast(({ read }) => read);
    const last = outgoing.length === 0 ? mine.at(-1) : undefined;
    return messages.map((message) => ({
        key: message._id,
        content: message.content,
        createdAt: message.createdAt,
        isMine: message.senderId !== person._id,
        isUnread: isUnread(message, person),
        state: message === lastRead ? "Read" : message === last ? "Sent" : "",
    }));
}

function onItsWay(outgoing) {
    const { id, content, createdAt, failure } = outgoing;
    return { key: id, content, createdAt, isMine: true, isUnread: false, state: failure ? "" : "Sending…", outgoing };
}

function messageRow({ content, createdAt, isMine }) {
    const time = { datetime: new Date(createdAt).toISOString(), title: formatMoment(createdAt) };
    return element(
        "li", { class: `message ${isMine ? "is-mine" : "is-theirs"}` },
        element("span", { class: "unseen" }, typed("", { class: "author" }), ": "),
        element(
            "div", { class: "bubble" },
            element("p", { class: "text typed", dir: "auto" }, content),
            element("p", { class: "meta" }, element("time", time, formatTime(createdAt)), element("span", { class: "state" }))));
}

function dayRow() {
    return element("li", { class: "day" }, element("h3"));
}

function updateDay(row, { moment }) {
    setText(row.firstElementChild, formatDay(moment));
}

function unreadRow() {
    return element("li", { class: "unread-divider" }, element("span", {}, "New"));
}
