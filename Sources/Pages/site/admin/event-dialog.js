import { element, typed } from "../shared/dom.js";
import { formatMoment } from "../shared/format.js";
import { personName } from "../shared/person.js";
import { icon } from "./icons.js";
import { severityLabel } from "./severity.js";

const inUTC = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" });

/** Shows all that is known of an event until somebody closes it. */
export function openEvent(event, client) {
    const { _id, timestamp, severity, type, userId, ip, metadata } = event;
    const person = element("dd", {}, typed(userId ?? "", { class: "code" }));
    const heading = element("h2", { id: "event-heading" }, typed(type));
    const close = () => dialog.close();
    // Beside the content there is only what is behind the dialog.
    const closeIfBeside = ({ target }) => target === dialog && close();
    const dialog = element("dialog", { class: "drawer", "aria-labelledby": heading.id, onclick: closeIfBeside },
        element("div", { class: "drawer-content" },
            element("header", { class: "drawer-header" }, heading,
                element("button", {
                    type: "button", class: "button quiet round", "aria-label": "Close", onclick: close,
                }, icon("close"))),
            severityLabel(severity),
            metadata && element("p", { class: "typed event-sentence", dir: "auto" }, metadata.details),
            element("dl", { class: "facts" },
                fact("Time", formatMoment(timestamp), element("span", { class: "muted" }, `${inUTC.format(timestamp)} UTC`)),
                userId && element("div", {}, element("dt", {}, "User"), person),
                ip && fact("Address", typed(ip, { class: "code" })),
                metadata?.source && fact("Source", typed(metadata.source)),
                fact("Event", typed(_id, { class: "code" }))),
            metadata?.context && contextView(metadata.context)));

    const profile = userId && client.watch("users:getProfile", { userId }, ({ value }) => {
        if (value) person.replaceChildren(personName(value), typed(userId, { class: "code muted" }));
    });
    dialog.addEventListener("close", () => {
        profile?.close();
        dialog.remove();
    });
    document.querySelector(".dashboard").append(dialog);
    dialog.showModal();
}

function fact(name, ...content) {
    return element("div", {}, element("dt", {}, name), element("dd", {}, ...content));
}

function contextView(context) {
    return element("div", {},
        element("h3", {}, "Context"),
        element("pre", { class: "code typed", tabindex: 0, role: "region", "aria-label": "Context" }, readable(context)));
}

/** JSON in lines; other text as it is. */
function readable(context) {
    try {
        return JSON.stringify(JSON.parse(context), null, 2);
    } catch {
        return context;
    }
}
