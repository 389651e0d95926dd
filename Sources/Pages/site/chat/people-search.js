import { element, setText, updateList } from "../shared/dom.js";
import { accountTypeName, avatar, personName } from "../shared/person.js";
import { icon } from "./icons.js";

/** Typing goes on for this long (ms) before the server is asked. */
const pause = 150;

/** A field to look for people by name, and those who were found. Choosing one leads to `#user_…`. */
export class PeopleSearch {
    view;

    #client;
    #field = element("input", { id: "find-people", class: "input", type: "search", placeholder: "Find people", autocomplete: "off", spellcheck: "false" });
    #status = element("p", { class: "hint search-status", role: "status" });
    #list = element("ul", { class: "rows", "aria-label": "People" });
    #results = element("div", { class: "rows-scroller", hidden: true }, this.#list);
    #hidden;
    #excludedId;
    #query;
    #timer;

    constructor(client) {
        this.#client = client;
        this.#field.addEventListener("input", () => this.#ask());
        this.#field.addEventListener("keydown", (event) => this.#clearOnEscape(event));
        this.#list.addEventListener("click", (event) => event.target.closest("a") && this.#clear());
        this.view = element(
            "search", { class: "search" },
            element("div", { class: "search-field" }, element("label", { class: "unseen", for: "find-people" }, "Find people"), icon("search"), this.#field),
            this.#status, this.#results);
    }

    /** What the results take the place of. */
    hides(other) {
        this.#hidden = other;
    }

    /** Leaves out somebody: nobody writes to themselves. */
    exclude(userId) {
        this.#excludedId = userId;
    }

    focus() {
        this.#field.focus();
    }

    #ask() {
        clearTimeout(this.#timer);
        const text = this.#field.value.trim();
        if (text === "") return this.#clear();
        this.#timer = setTimeout(() => {
            const before = this.#query;
            this.#query = this.#client.watch("users:search", { query: text }, (query) => this.#draw(query));
            before?.close();
        }, pause);
    }

    #draw({ value, error }) {
        const people = (value ?? []).filter(({ _id }) => _id !== this.#excludedId);
        updateList(this.#list, people, { key: ({ _id }) => _id, make: personRow });
        this.#results.hidden = people.length === 0;
        this.#hidden.hidden = true;
        this.view.classList.add("is-active");
        setText(this.#status, error ? error.message : people.length === 0 ? "Nobody of that name." : `${people.length} found`);
    }

    #clearOnEscape(event) {
        if (event.key !== "Escape" || this.#field.value === "") return;
        event.preventDefault();
        this.#clear();
    }

    #clear() {
        clearTimeout(this.#timer);
        this.#query?.close();
        this.#query = undefined;
        this.#field.value = "";
        this.#results.hidden = true;
        this.#hidden.hidden = false;
        this.view.classList.remove("is-active");
        setText(this.#status, "");
    }
}

function personRow(person) {
    return element(
        "li", {},
        element(
            "a", { class: "row", href: `#${person._id}` },
            avatar(person),
            element("span", { class: "row-text" }, personName(person, { class: "row-name" }), element("span", { class: "row-more" }, accountTypeName(person.accountType)))));
}
