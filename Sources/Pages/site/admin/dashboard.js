import { element, setAttribute } from "../shared/dom.js";
import { personName } from "../shared/person.js";
import { Analytics } from "./analytics.js";
import { icon } from "./icons.js";
import { Overview } from "./overview.js";
import { Security } from "./security.js";
import { Timeframe } from "./timeframe.js";
import { Users } from "./users.js";

/**
 * The sections, by the part of the address that shows them. A section has an `element`, `show()`, from which on it keeps itself up
 * to date, and `hide()`, from which on it costs the server nothing.
 */
const sections = [
    { name: "overview", title: "Overview", Section: Overview },
    { name: "security", title: "Security", Section: Security },
    { name: "analytics", title: "Analytics", Section: Analytics },
    { name: "users", title: "Users", Section: Users },
];

/** The page of an administrator: who it is, the ways to the sections, and the section that is shown. */
export class Dashboard {
    element;
    #place;
    #made = new Map();
    #shown;
    #links = new Map();
    #viewerName = element("span", { class: "viewer-name" });
    #main = element("main", { id: "content", class: "content", tabindex: -1 });
    #followAddress = () => this.#show(sectionInAddress(), { moveFocus: true });

    constructor({ client, session, viewer }) {
        this.#place = { client, timeframe: new Timeframe(), viewer };
        this.element = element("div", { class: "dashboard" },
            element("a", { class: "skip-link", href: "#content", onclick: (event) => this.#skip(event) }, "Skip to the content"),
            element("header", { class: "top-bar" },
                element("a", { class: "brand", href: "#overview" },
                    element("img", { src: "assets/shared/icon.svg", alt: "", width: 28, height: 28 }), "Attune"),
                this.#viewerName,
                element("button", { type: "button", class: "button quiet sign-out", onclick: () => session.signOut() },
                    icon("signOut"), element("span", { class: "sign-out-words" }, "Sign out"))),
            element("nav", { class: "sections", "aria-label": "Sections" },
                element("ul", {}, sections.map((section) => this.#link(section)))),
            this.#main);
        this.update(viewer);
        addEventListener("hashchange", this.#followAddress);
        this.#show(sectionInAddress());
    }

    /** Takes what has changed about the administrator. */
    update(viewer) {
        this.#viewerName.replaceChildren(personName(viewer));
    }

    close() {
        removeEventListener("hashchange", this.#followAddress);
        this.#shown.hide();
        document.title = "Administration · Attune";
    }

    #link({ name, title }) {
        const link = element("a", { href: `#${name}` }, icon(name), title);
        this.#links.set(name, link);
        return element("li", {}, link);
    }

    #show({ name, title, Section }, { moveFocus = false } = {}) {
        if (!this.#made.has(name)) this.#made.set(name, new Section(this.#place));
        const section = this.#made.get(name);
        if (section === this.#shown) return;
        this.#shown?.hide();
        this.#shown = section;
        for (const dialog of this.element.querySelectorAll("dialog")) dialog.close();
        for (const [linked, link] of this.#links) setAttribute(link, "aria-current", linked === name && "page");
        document.title = `${title} · Attune`;
        this.#main.replaceChildren(section.element);
        section.show();
        scrollTo(0, 0);
        if (moveFocus) section.element.querySelector("h1").focus({ preventScroll: true });
    }

    /** The address names the section, so it is not to name the content. */
    #skip(event) {
        event.preventDefault();
        this.#main.focus();
    }
}

function sectionInAddress() {
    return sections.find(({ name }) => location.hash === `#${name}`) ?? sections[0];
}
