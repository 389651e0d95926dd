import { element } from "../shared/dom.js";
import { icon } from "./icons.js";

/** The field to write a message in. Enter sends it, Shift+Enter begins a new line. */
export class Composer {
    view;

    #personId;
    #drafts;
    #onSend;
    #field = element("textarea", {
        id: "message", class: "input", rows: 1, placeholder: "Write a message", dir: "auto", enterkeyhint: "send",
    });
    #button = element("button", { class: "button primary round", "aria-label": "Send" }, icon("send"));
    #observer = new ResizeObserver(() => this.#fit());

    /** @param {Map<string, string>} drafts  what was begun and not sent, by person */
    constructor({ personId, drafts, onSend }) {
        this.#personId = personId;
        this.#drafts = drafts;
        this.#onSend = onSend;
        this.#field.value = drafts.get(personId) ?? "";
        this.#field.addEventListener("input", () => this.#fit());
        this.#field.addEventListener("keydown", (event) => this.#sendOnEnter(event));
        this.view = element(
            "form", { class: "composer", onsubmit: (event) => this.#send(event) },
            element("label", { class: "unseen", for: "message" }, "Message"), this.#field, this.#button);
        this.#observer.observe(this.view);
        this.#fit();
    }

    focus() {
        this.#field.focus();
    }

    /** Keeps what was begun for the next time. */
    close() {
        this.#observer.disconnect();
        if (this.#isEmpty) this.#drafts.delete(this.#personId);
        else this.#drafts.set(this.#personId, this.#field.value);
    }

    get #isEmpty() {
        return this.#field.value.trim() === "";
    }

    #sendOnEnter(event) {
        // While a word is being composed, Enter chooses among suggestions.
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.view.requestSubmit();
    }

    #send(event) {
        event.preventDefault();
        if (this.#isEmpty) return;
        const content = this.#field.value.trim();
        this.#field.value = "";
        this.#fit();
        this.#field.focus();
        this.#onSend(content);
    }

    /** As high as the text, up to the limit in the style sheet. */
    #fit() {
        this.#button.disabled = this.#isEmpty;
        const { style } = this.#field;
        style.height = "auto";
        // Borders are not part of what scrolls.
        style.height = `${this.#field.scrollHeight + this.#field.offsetHeight - this.#field.clientHeight}px`;
    }
}
