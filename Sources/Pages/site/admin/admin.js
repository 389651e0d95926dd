import { element } from "../shared/dom.js";
import { runPage } from "../shared/page.js";
import { Dashboard } from "./dashboard.js";

runPage({
    signIn: { purpose: "Sign in to administer Attune.", canSignUp: false },
    open: openForAdministrators,
});

/** The dashboard for administrators, for as long as they are; whoever else has signed in is told so, and sees nothing. */
function openForAdministrators({ client, session }) {
    const view = element("div", { class: "page" }, waiting());
    let dashboard;

    client.watch("auth:getCurrentUser", {}, ({ value: viewer }) => {
        if (viewer?.role === "admin") {
            if (dashboard) return dashboard.update(viewer);
            dashboard = new Dashboard({ client, session, viewer });
            return view.replaceChildren(dashboard.element);
        }
        close();
        view.replaceChildren(viewer ? refusal(session) : waiting());
    });

    function close() {
        dashboard?.close();
        dashboard = undefined;
    }

    return { view, close };
}

function waiting() {
    return element("main", { class: "waiting" },
        element("span", { class: "spinner" }), element("p", { role: "status" }, "Connecting…"));
}

function refusal(session) {
    document.title = "No access · Attune";
    return element("main", { class: "refusal" },
        element("h1", {}, "This page is for administrators"),
        element("p", {},
            "Your account has no administrator’s rights, so there is nothing to see here. ",
            "Whoever runs this installation can give them to you."),
        element("div", { class: "refusal-choices" },
            element("a", { class: "button primary", href: "chat" }, "Go to your messages"),
            element("button", { class: "button", onclick: () => session.signOut() }, "Sign out")));
}
