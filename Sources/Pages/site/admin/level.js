import { element, setAttribute, setText } from "../shared/dom.js";
import { icon } from "./icons.js";

/** From the calmest on; what each says follows the rules of `SecurityLevel`. */
const levels = {
    low: ["Low", "Nothing out of the ordinary within the last hour."],
    guarded: ["Guarded", "There were events of medium severity within the last hour."],
    elevated: ["Elevated", "There was an event of high severity within the last hour, or many of medium severity within 15 minutes."],
    high: ["High", "There was a critical event within the last hour, or several of high severity within 15 minutes."],
    critical: ["Critical", "There was a critical event within the last 15 minutes. Somebody should be looking into it."],
};

/** The security level: as a word, a colour and a place on a scale. */
export class LevelView {
    element;
    #word = element("p", { class: "level-word" }, "–");
    #meaning = element("p", { class: "level-meaning" });
    #steps = Object.keys(levels).map((name) => element("span", { class: `level-step is-${name}` }));

    constructor() {
        this.element = element("div", { class: "level", role: "group", "aria-label": "Security level" },
            element("span", { class: "level-sign" }, icon("security")),
            element("div", {}, this.#word, this.#meaning),
            element("div", { class: "level-scale", "aria-hidden": "true" }, this.#steps));
    }

    update(name) {
        const [word, meaning] = levels[name];
        setAttribute(this.element, "data-level", name);
        setText(this.#word, word);
        setText(this.#meaning, meaning);
        this.#steps.forEach((step, index) => step.classList.toggle("is-reached", index <= Object.keys(levels).indexOf(name)));
    }
}
