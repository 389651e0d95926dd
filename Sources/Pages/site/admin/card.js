import { element } from "../shared/dom.js";

let nextNumber = 0;

/** A part of a section, with a heading. `tools` stand beside the heading. */
export function card(title, { className = "", tools = [], note = null } = {}, ...content) {
    const heading = element("h2", { id: `card-${nextNumber++}` }, title);
    return element("section", { class: `card ${className}`, "aria-labelledby": heading.id },
        element("header", { class: "card-header" }, heading, ...tools),
        ...content,
        note && element("p", { class: "note" }, note));
}

/** The heading of a section, which gets the focus when the section is shown. */
export function sectionHeader(title, ...tools) {
    return element("header", { class: "section-header" }, element("h1", { tabindex: -1 }, title), ...tools);
}

/** What stands in for results that cannot be had. */
export function failureNotice(error) {
    return element("p", { class: "notice danger", role: "alert" }, error.message);
}
