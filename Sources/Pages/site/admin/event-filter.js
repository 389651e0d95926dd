import { element } from "../shared/dom.js";
import { severities } from "./severity.js";

/** Which events are shown: a form with type, severity and a span of time in the reader's time zone. */
export class EventFilter {
    element;
    #onChange;
    #types = element("datalist", { id: "event-types" });
    #fields = {
        type: element("input", {
            class: "input", id: "event-type", list: "event-types", placeholder: "All types",
            autocomplete: "off", spellcheck: "false",
        }),
        severity: element("select", { class: "input", id: "event-severity" },
            element("option", { value: "" }, "All severities"),
            severities.map(({ value, label }) => element("option", { value }, label))),
        since: element("input", { class: "input", id: "event-since", type: "datetime-local" }),
        until: element("input", { class: "input", id: "event-until", type: "datetime-local" }),
    };
    #reset = element("button", { type: "button", class: "button quiet", onclick: () => this.#clear() }, "Clear filters");
    #chosen = JSON.stringify({});

    /** @param {(args: object) => void} onChange  called with `arguments` when they have changed */
    constructor(onChange) {
        this.#onChange = onChange;
        const { type, severity, since, until } = this.#fields;
        const listeners = { onsubmit: (event) => this.#submit(event), onchange: () => this.#apply() };
        this.element = element("form", { class: "filter", role: "search", "aria-label": "Filter events", ...listeners },
            field("Type", type), field("Severity", severity), field("From", since), field("Until", until),
            this.#reset, this.#types);
        // Who picks a type from the list is done; who types one presses Return or leaves the field.
        type.addEventListener("input", () => (type.value === "" || this.#isKnownType(type.value)) && this.#apply());
        this.#reset.hidden = true;
    }

    /** The types that are offered. */
    offer(types) {
        const known = Array.from(this.#types.children, (option) => option.value);
        if (known.length === types.length && types.every((type, index) => type === known[index])) return;
        this.#types.replaceChildren(...types.map((type) => element("option", { value: type })));
    }

    /** Fills in the form. */
    choose({ type = "", severity = "" }) {
        this.#fields.type.value = type;
        this.#fields.severity.value = severity;
        this.#fields.since.value = "";
        this.#fields.until.value = "";
        this.#apply();
    }

    /** The arguments for `security:getSecurityEvents`. */
    get arguments() {
        const { type, severity, since, until } = this.#fields;
        return {
            ...(type.value && { type: type.value }),
            ...(severity.value && { severity: severity.value }),
            ...(since.value && { since: momentOf(since.value) }),
            ...(until.value && { until: momentOf(until.value) }),
        };
    }

    #clear() {
        this.choose({});
        // The button is hidden now.
        this.#fields.type.focus();
    }

    #submit(event) {
        event.preventDefault();
        this.#apply();
    }

    #apply() {
        const chosen = JSON.stringify(this.arguments);
        this.#reset.hidden = chosen === "{}";
        if (chosen === this.#chosen) return;
        this.#chosen = chosen;
        this.#onChange(this.arguments);
    }

    #isKnownType(text) {
        return Array.from(this.#types.children).some((option) => option.value === text);
    }
}

function field(label, control) {
    return element("div", { class: "field" }, element("label", { for: control.id }, label), control);
}

/** A time without a zone is one of the reader's. */
function momentOf(text) {
    return new Date(text).getTime();
}
