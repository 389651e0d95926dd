import { element, setText } from "../shared/dom.js";
import { explanation } from "./explanation.js";

/** A number with its name and its definition. */
export class Tile {
    element;
    #format;
    #value = element("p", { class: "tile-value" }, "–");
    #detail = element("p", { class: "tile-detail" });

    /**
     * @param {[string, string]} place  see `explanation`
     * @param {(value) => string} format
     * @param {boolean} isWide  twice as wide as others, where there is room
     */
    constructor({ label, place, format, isWide = false }) {
        this.#format = format;
        this.#value.addEventListener("animationend", () => this.#value.classList.remove("has-changed"));
        this.element = element("div", { class: `card tile${isWide ? " is-wide" : ""}`, role: "group", "aria-label": label },
            element("p", { class: "tile-label" }, label, explanation(label, place)), this.#value, this.#detail);
    }

    /** @param {string} detail  a few words below the number */
    update(value, detail = "") {
        const text = value === undefined ? "–" : this.#format(value);
        const isFirst = this.#value.textContent === "–";
        if (!isFirst && text !== this.#value.textContent) this.#value.classList.add("has-changed");
        setText(this.#value, text);
        setText(this.#detail, detail);
    }
}
