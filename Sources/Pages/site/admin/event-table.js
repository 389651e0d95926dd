import { element, oncePerFrame, setText, typed, updateList } from "../shared/dom.js";
import { formatMoment, formatNumber } from "../shared/format.js";
import { PagedQuery } from "../shared/paging.js";
import { icon } from "./icons.js";
import { severityLabel } from "./severity.js";

const pageSize = 50;
/** Past this many rows, shown while nobody reads on, or held back, the list begins anew: it does not grow for ever. */
const longest = 300;
const seconds = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit" };
const moments = new Intl.DateTimeFormat(undefined, seconds);
const momentsWithYear = new Intl.DateTimeFormat(undefined, { year: "numeric", ...seconds });
const columns = ["Time", "Severity", "Type", "Details", "Source", "Address"];

/**
 * Security events, the newest first. New ones come in by themselves as long as the top of the table is in view; who reads further
 * down, or has stopped the table, is told how many there are, and nothing moves.
 */
export class EventTable {
    element;
    #client;
    #open;
    #args = {};
    #list;
    #successor;
    #shown = new Set();
    /** The time of the newest event that is shown. */
    #newest = 0;
    #isStopped = false;
    #hasReadOn = false;
    /** Whatever there is next is to be shown, wherever it belongs. */
    #wantsAll = true;
    /** The rows stay as they are, and the list has begun anew: what was between them is not known. */
    #isCutOff = false;
    #draw = oncePerFrame(() => this.#redraw());

    #body = element("tbody", { role: "rowgroup", onpointerleave: () => this.#draw(), onfocusout: () => this.#draw() });
    #status = element("p", { class: "empty", role: "status" });
    #newcomersNote = element("span", { class: "unseen", role: "status" });
    #newcomers = element("button", {
        type: "button", class: "button primary newcomers", hidden: true, onclick: () => this.#showNewest(),
    });
    #older = element("button", {
        type: "button", class: "button", hidden: true, onclick: () => this.#readOn(),
    }, "Show older events");
    #stop = element("button", { type: "button", class: "button quiet", "aria-pressed": "false", onclick: () => this.#toggleStop() },
        icon("pause"), "Pause");

    /** @param {(event) => void} open  shows one event */
    constructor({ client, open }) {
        this.#client = client;
        this.#open = open;
        // With roles of their own: on a phone the rows are laid out as cards, which takes tables' roles from them.
        const table = element("table", { class: "events", role: "table", "aria-label": "Security events" },
            element("thead", { role: "rowgroup" },
                element("tr", { role: "row" }, columns.map((name) => element("th", { role: "columnheader", scope: "col" }, name)))),
            this.#body);
        this.element = element("div", { class: "event-table" },
            element("div", { class: "newcomers-place" }, this.#newcomersNote, this.#newcomers), table, this.#status,
            element("div", { class: "table-end" }, this.#older));
    }

    /** Stops and resumes the table. */
    get stopButton() {
        return this.#stop;
    }

    /** @param args  of `security:getSecurityEvents`, without `paginationOpts` */
    show(args) {
        this.#args = args;
        this.hide();
        this.#hasReadOn = this.#isCutOff = false;
        this.#wantsAll = true;
        this.#list = this.#watch(() => this.#draw());
        addEventListener("scroll", this.#draw, { passive: true });
        this.#draw();
    }

    hide() {
        this.#list?.close();
        this.#successor?.close();
        this.#list = this.#successor = undefined;
        removeEventListener("scroll", this.#draw);
    }

    #watch(onChange) {
        return new PagedQuery(this.#client, "security:getSecurityEvents", this.#args, { pageSize, onChange });
    }

    #redraw() {
        if (!this.#list) return;
        const { items, error, isLoading, hasMore } = this.#list;
        if (!isLoading && (this.#wantsAll || this.#mayMove)) this.#showAll(items);
        else if (!this.#wantsAll && !this.#isCutOff) this.#fill(this.#withoutNewcomers(items));
        const heldBack = this.#wantsAll ? 0 : items.filter(({ _id }) => !this.#shown.has(_id)).length;
        this.#tellOfNewcomers(heldBack);
        this.#older.hidden = !hasMore || this.#isCutOff;
        setText(this.#status, this.#statusText({ error, isLoading, isEmpty: items.length === 0 }));
        this.#status.hidden = this.#status.textContent === "";
        if (heldBack === 0 ? items.length > longest && (!this.#hasReadOn || this.#mayMove) : heldBack > longest) this.#beginAnew();
    }

    #tellOfNewcomers(count) {
        this.#newcomers.hidden = count === 0;
        // Said once, not with each event.
        setText(this.#newcomersNote, count === 0 ? "" : "There are new events.");
        if (count === 0) return;
        const words = this.#isCutOff ? "Newest events" : `${formatNumber(count)} new ${count === 1 ? "event" : "events"}`;
        this.#newcomers.replaceChildren(icon("up"), words);
    }

    #statusText({ error, isLoading, isEmpty }) {
        if (error) return error.message;
        if (isLoading && isEmpty) return "Loading events…";
        if (isEmpty) return Object.keys(this.#args).length > 0 ? "No event matches the filters." : "There are no security events.";
        return "";
    }

    /** Nobody reads further down: rows may come in at the top. */
    get #mayMove() {
        const top = document.querySelector(".top-bar").getBoundingClientRect().bottom;
        const isTopInView = this.#body.getBoundingClientRect().top >= top;
        return !this.#isStopped && isTopInView && !this.#body.contains(document.activeElement) && !this.#body.matches(":hover");
    }

    /** What was there already, and what comes after it. */
    #withoutNewcomers(items) {
        const last = items.findLastIndex(({ _id }) => this.#shown.has(_id));
        return items.filter(({ _id }, index) => index > last || this.#shown.has(_id));
    }

    #showAll(events) {
        const newestBefore = this.#newest;
        const isMoving = !this.#wantsAll && !this.#isCutOff;
        this.#wantsAll = this.#isCutOff = false;
        this.#fill(events, ({ timestamp }) => isMoving && timestamp >= newestBefore);
    }

    #fill(events, isNew = () => false) {
        updateList(this.#body, events, { key: ({ _id }) => _id, make: (event) => this.#row(event, isNew(event)) });
        this.#shown = new Set(events.map(({ _id }) => _id));
        this.#newest = events[0]?.timestamp ?? 0;
    }

    #row(event, isNew) {
        const { timestamp, severity, type, ip, metadata } = event;
        const cell = (name, ...content) => element("td", { role: "cell", class: `event-${name}` }, ...content);
        const time = { datetime: new Date(timestamp).toISOString(), title: formatMoment(timestamp) };
        const opener = { type: "button", class: "event-open", "aria-haspopup": "dialog", onclick: () => this.#open(event) };
        return element("tr", { role: "row", class: isNew && "is-new" },
            cell("time", element("time", time, formatShortly(timestamp))),
            cell("severity", severityLabel(severity)),
            cell("type", element("button", opener, typed(type))),
            cell("details", metadata ? typed(metadata.details, { dir: "auto" }) : ""),
            cell("source", metadata?.source ? typed(metadata.source) : ""),
            cell("address", ip ? typed(ip) : ""));
    }

    #showNewest() {
        this.#wantsAll = true;
        this.#stop.focus({ preventScroll: true });
        this.element.closest("section").scrollIntoView({ block: "start" });
        this.#draw();
    }

    #readOn() {
        this.#hasReadOn = true;
        this.#list.loadMore();
        this.#draw();
    }

    #toggleStop() {
        this.#isStopped = !this.#isStopped;
        this.#stop.setAttribute("aria-pressed", this.#isStopped);
        this.#stop.replaceChildren(icon(this.#isStopped ? "resume" : "pause"), "Pause");
        this.#draw();
    }

    /** Reads the newest page again, and goes on with it once it is there. */
    #beginAnew() {
        if (this.#successor) return;
        const successor = this.#watch(() => {
            if (this.#list === successor) return this.#draw();
            if (successor.isLoading || successor !== this.#successor) return;
            this.#list.close();
            this.#list = successor;
            this.#successor = undefined;
            this.#hasReadOn = false;
            this.#isCutOff = !this.#mayMove;
            this.#draw();
        });
        this.#successor = successor;
    }
}

/** Nov 23, 9:05:07 AM; with the year when it is another one. */
function formatShortly(moment) {
    const isThisYear = new Date(moment).getFullYear() === new Date().getFullYear();
    return (isThisYear ? moments : momentsWithYear).format(moment);
}
