import { element, setAttribute, setText, typed, updateList } from "../shared/dom.js";
import { formatAge, formatDate, formatMoment } from "../shared/format.js";
import { accountTypeName, avatar, personName } from "../shared/person.js";

const columns = [
    { name: "user", title: "User" },
    { name: "role", title: "Role" },
    { name: "type", title: "Type" },
    { name: "created", title: "Created" },
    { name: "active", title: "Last active" },
    { name: "actions", title: "Actions", isUnseen: true },
];

/** A table of accounts, each of which can be removed, except for the viewer's own. */
export class UserTable {
    element;
    #viewer;
    #remove;
    #body = element("tbody", { role: "rowgroup" });

    /** @param {(user, button: Element) => void} remove  called when somebody asks to remove a user */
    constructor({ viewer, remove }) {
        this.#viewer = viewer;
        this.#remove = remove;
        // With roles of their own: on a phone the rows are laid out as cards, which takes tables' roles from them.
        const heading = ({ name, title, isUnseen }) =>
            element("th", { role: "columnheader", scope: "col", class: `user-${name}` },
                element("span", { class: isUnseen && "unseen" }, title));
        this.element = element("table", { class: "users", role: "table", "aria-label": "Users" },
            element("thead", { role: "rowgroup" },
                element("tr", { role: "row" }, columns.map(heading))),
            this.#body);
    }

    /** @param {boolean} isSearch  what is found does not say when users were last active */
    update(users, { isSearch }) {
        this.element.classList.toggle("is-search", isSearch);
        updateList(this.#body, users, {
            key: ({ _id }) => _id,
            make: (user) => this.#row(user),
            update: (row, user) => this.#update(row, user),
        });
    }

    #row(user) {
        const row = element("tr", { role: "row" },
            columns.map(({ name }) => element("td", { role: "cell", class: `user-${name}` })));
        row.querySelector(".user-actions").append(this.#action(row, user));
        return row;
    }

    #action(row, { _id }) {
        if (_id === this.#viewer._id) return element("span", { class: "muted" }, "You");
        const button = element("button", { type: "button", class: "button quiet remove", "aria-haspopup": "dialog" }, "Remove");
        button.addEventListener("click", () => this.#remove(row.user, button));
        return button;
    }

    #update(row, user) {
        const { name, email, role, accountType, createdAt, lastActiveAt } = user;
        const cell = (column) => row.querySelector(`.user-${column}`);
        const identity = JSON.stringify([name, email]);
        if (row.dataset.identity !== identity) {
            row.dataset.identity = identity;
            cell("user").replaceChildren(element("div", { class: "person" },
                avatar(user),
                element("div", { class: "person-words" },
                    personName(user, { class: "person-name", title: name }),
                    email && typed(email, { class: "person-email", title: email }))));
            row.querySelector(".remove")?.setAttribute("aria-label", `Remove ${name}`);
        }
        row.user = user;
        if (cell("role").dataset.role !== role) {
            cell("role").dataset.role = role;
            const word = role === "admin" ? "Administrator" : "User";
            cell("role").replaceChildren(element("span", { class: `role is-${role}` }, word));
        }
        setText(cell("type"), accountTypeName(accountType));
        setText(cell("created"), formatDate(createdAt));
        setText(cell("active"), lastActiveAt === undefined ? "Never" : formatAge(lastActiveAt));
        setAttribute(cell("active"), "title", lastActiveAt === undefined ? null : formatMoment(lastActiveAt));
    }
}
