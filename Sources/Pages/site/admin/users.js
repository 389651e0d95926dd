import { element, oncePerFrame, setText } from "../shared/dom.js";
import { PagedQuery } from "../shared/paging.js";
import { personName } from "../shared/person.js";
import { sectionHeader } from "./card.js";
import { icon } from "./icons.js";
import { LiveQueries } from "./live.js";
import { openRemoval } from "./removal.js";
import { UserTable } from "./user-table.js";

const pageSize = 25;
/** How long (ms) to wait for the next letter. */
const typingPause = 200;
/** How often (ms) the times since people were last active are brought up to date. */
const agePause = 30_000;
/** What a search may have at most, in characters. */
const longestSearch = 200;
/** How many users a search finds at most. */
const mostFound = 20;

/** The accounts: all of them, the newest first, or those whose name holds a text. */
export class Users {
    element;
    #client;
    #searches;
    #list;
    #found;
    #table;
    #heading;
    #typing;
    #clock;
    #search = element("input", {
        class: "input", type: "search", id: "user-search", placeholder: "Find users by name",
        autocomplete: "off", spellcheck: "false", maxlength: longestSearch, oninput: () => this.#type(),
    });
    #status = element("p", { class: "empty", role: "status" });
    #announcement = element("div", { class: "announcement", role: "status" });
    #more = element("button", { type: "button", class: "button", hidden: true, onclick: () => this.#readOn() }, "Show more users");
    #draw = oncePerFrame(() => this.#redraw());

    constructor({ client, viewer }) {
        this.#client = client;
        this.#searches = new LiveQueries(client);
        this.#table = new UserTable({ viewer, remove: (user, button) => this.#remove(user, button) });
        const header = sectionHeader("Users",
            element("form", { class: "search", role: "search", onsubmit: (event) => event.preventDefault() },
                element("label", { class: "unseen", for: this.#search.id }, "Find users"), icon("search"), this.#search));
        this.#heading = header.querySelector("h1");
        this.element = element("div", { class: "section" },
            header,
            this.#announcement,
            element("div", { class: "card" },
                this.#table.element, this.#status, element("div", { class: "table-end" }, this.#more)));
    }

    show() {
        this.#watch();
        this.#clock = setInterval(this.#draw, agePause);
    }

    hide() {
        clearInterval(this.#clock);
        clearTimeout(this.#typing);
        this.#searches.closeAll();
        this.#list?.close();
        this.#list = undefined;
        this.#announcement.replaceChildren();
    }

    get #text() {
        return this.#search.value.trim();
    }

    #type() {
        clearTimeout(this.#typing);
        this.#announcement.replaceChildren();
        this.#typing = setTimeout(() => this.#watch(), typingPause);
    }

    /** Either the list or a search is kept up to date, not both. */
    #watch() {
        if (this.#text === "") {
            this.#searches.closeAll();
            this.#found = undefined;
            this.#list ??= new PagedQuery(this.#client, "admin:listUsers", {}, { pageSize, onChange: this.#draw });
        } else {
            this.#list?.close();
            this.#list = undefined;
            this.#searches.watch("search", "users:search", { query: this.#text }, (query) => {
                this.#found = query;
                this.#draw();
            });
        }
        this.#draw();
    }

    #redraw() {
        const isSearch = this.#list === undefined;
        const { error, isLoading = true } = (isSearch ? this.#found : this.#list) ?? {};
        const users = (isSearch ? this.#found?.value : this.#list.items) ?? [];
        if (!isLoading || users.length > 0) this.#table.update(users, { isSearch });
        this.#more.hidden = isSearch || !this.#list.hasMore;
        const words = error?.message ?? wordsAbout({ count: users.length, isSearch, isLoading });
        setText(this.#status, words);
        this.#status.hidden = words === "";
    }

    #readOn() {
        this.#list.loadMore();
        this.#draw();
    }

    async #remove(user, button) {
        const wasRemoved = await openRemoval(user, this.#client);
        if (!wasRemoved) return button.focus();
        // The button is gone with the row.
        this.#heading.focus();
        this.#announcement.replaceChildren(element("p", { class: "notice" }, personName(user), " was removed."));
    }
}

/** What is said below the table. */
function wordsAbout({ count, isSearch, isLoading }) {
    if (count === 0) return isLoading ? "Loading users…" : "No user has this in their name.";
    return isSearch && count === mostFound ? `These are the ${mostFound} best matches. Type more of the name to find others.` : "";
}
