import Development
import Foundation
import StackTestSupport
import Testing

/// Each scenario is a Python program that drives headless Chromium on one running stack, as people at their screens would.
@Suite(
    "The pages in a browser", .serialized, .pagesStack,
    .enabled(if: Chromium.isInstalled || ProcessInfo.processInfo.environment["CI"] != nil, "apt-get install chromium"))
struct PagesTests {
    @Test("it is as it should be for people at a screen:", .timeLimit(.minutes(6)), arguments: Scenario.allCases)
    func scenario(_ scenario: Scenario) async throws {
        let result = try await PagesStack.shared.play(scenario)
        #expect(result.exit == .code(0), "\(result.output)")
    }
}

/// The programs in `browser`, by name.
enum Scenario: String, CaseIterable, CustomTestStringConvertible {
    case conversation, sessions, reconnecting, dashboard, removal, hostile, phone, wide

    var testDescription: String {
        switch self {
        case .conversation: "two people sign up and talk: live, unread counts, read marks, older pages, optimistic sending"
        case .sessions: "signing out in one window ends the other's access"
        case .reconnecting: "a worker that stops is shown, and gone when it is back; what was sent meanwhile arrives once"
        case .dashboard: "the dashboard moves with messages and events, filters, and tells ordinary accounts nothing"
        case .removal: "a removed user's window loses access, and the other side reads on"
        case .hostile: "markup, right-to-left marks and very long words are text, and break no layout"
        case .phone: "on a phone every state fits the window and violates nothing of WCAG A and AA; focus is seen, in reading order"
        case .wide: "the same on a wide screen, light and dark"
        }
    }
}

/// Debian's, which the scenarios use.
enum Chromium {
    static let path = "/usr/bin/chromium"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }
}
