import { element, typed } from "./dom.js";

const tints = 6;

/**
 * A circle with a person's initials. Pictures that people link to are not loaded: a page loads nothing from elsewhere, and
 * nobody else's server learns who reads what.
 */
export function avatar({ _id, name }) {
    const tint = Array.from(_id).reduce((sum, character) => sum + character.charCodeAt(0), 0) % tints;
    return element("span", { class: `avatar tint-${tint}`, "aria-hidden": "true" }, initials(name));
}

/** A person's name, whatever is in it. */
export function personName({ name }, attributes = {}) {
    return typed(name, { dir: "auto", ...attributes });
}

/** `Therapist`, `Client`, or nothing. */
export function accountTypeName(accountType) {
    return { therapist: "Therapist", client: "Client" }[accountType] ?? "";
}

function initials(name) {
    const words = name.match(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu) ?? [];
    const chosen = words.length > 1 ? [words[0], words.at(-1)] : words;
    // By code point: a surrogate's half is no letter.
    return chosen.map((word) => Array.from(word)[0].toLocaleUpperCase()).join("") || "·";
}
