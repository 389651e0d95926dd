import { runPage } from "../shared/page.js";
import { chatView } from "./chat-view.js";

runPage({ signIn: { purpose: "Private messages between therapists and clients.", canSignUp: true }, open: chatView });
