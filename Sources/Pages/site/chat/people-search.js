import { element, setText, updateList } from "../shared/dom.js";
import { accountTypeName, avatar, personName } from "../shared/person.js";
import { icon } from "./icons.js";

/** Typing goes on for this long (ms) before the server is asked. */
const pause = 150;

/** A field to look for people by name, and those who were found. Choosing one leads to `#user_…`. */
export class PeopleSearch {
    view;

    #client;
    #replaced;
    #ownId;
    #field = element("input", {
        id: "find-people", class: "input", type: "search", placeholder: "Find people", autocomplete: "off", spellcheck: "false",
    });
    #status = element("p", { class: "hint search-status", role: "status" });
    #list = element("ul", { class: "rows", "aria-label": "People" });
    #results = element("div", { class: "rows-scroller", hidden: true }, this.#list);
    #query;
    #timer;

    /** @param {Element} replaced  what the results take the place of */
    constructor(client, replaced) {
        this.#client = client;
        this.#replaced = replaced;
        this.#field.addEventListener("input", () => this.#ask());
        this.#field.addEventListener("keydown", (event) => this.#clearOnEscape(event));
        this.#list.addEventListener("click", (event) => event.target.closest("a") && this.#clear());
        this.view = element(
            "search", { class: "search" },
            element(
                "div", { class: "search-field" },
                element("label", { class: "unseen", for: "find-people" }, "Find people"), icon("search"), this.#field),
            this.#status, this.#results);
    }

    /** Who looks for people. Nobody writes to themselves. */
    set ownId(userId) {
        this.#ownId = userId;
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
        const people = (value ?? []).filter(({ _id }) => _id !== this.#ownId);
        updateList(this.#list, people, { key: ({ _id }) => _id, make: personRow });
        this.#results.hidden = people.length === 0;
        this.#replaced.hidden = true;
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
        this.#replaced.hidden = false;
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
            element(
                "span", { class: "row-text" },
                personName(person, { class: "row-name" }),
                element("span", { class: "row-more" }, accountTypeName(person.accountType)))));
}
