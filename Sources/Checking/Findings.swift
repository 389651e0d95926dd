import Foundation
import Synchronization

/// Something that must not be.
public struct Finding: Sendable, CustomStringConvertible {
    /// Who saw it.
    let client: String
    /// What was wrong, and what should have been.
    let problem: String
    /// The first wrong message.
    let message: String
    /// What the client said and heard before, oldest first.
    let history: [String]

    public var description: String {
        """
        FINDING by \(client): \(problem)
        The message: \(message)
        What \(client) said (>) and heard (<) before:
        \(history.map { "  " + $0 }.joined(separator: "\n"))
        """
    }
}

/// The findings of a run. The first one ends it.
final class Findings: Sendable {
    private let all = Mutex<[Finding]>([])

    var list: [Finding] { all.withLock { $0 } }

    var isEmpty: Bool { all.withLock { $0.isEmpty } }

    func add(_ finding: Finding) {
        // Later ones mostly follow from the first ones.
        all.withLock { if $0.count < 5 { $0.append(finding) } }
    }
}

/// What one client said and heard lately, to be printed beside a finding. Secrets do not get here.
final class ClientHistory: Sendable {
    private let lines = Mutex<[String]>([])
    private static let capacity = 60
    private static let lineLength = 600

    func note(_ line: @autoclosure () -> String) {
        var text = line()
        if text.utf8.count > Self.lineLength { text = String(text.prefix(Self.lineLength)) + "…" }
        let stamped = "\(Self.clock()) \(text)"
        lines.withLock { lines in
            lines.append(stamped)
            if lines.count > 2 * Self.capacity { lines.removeFirst(Self.capacity) }
        }
    }

    var list: [String] { lines.withLock { Array($0.suffix(Self.capacity)) } }

    /// Time of day in UTC, as the workers' logs have it.
    static func clock() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let seconds = time.tv_sec % 86_400
        return String(
            format: "%02d:%02d:%02d.%03d", seconds / 3600, seconds / 60 % 60, seconds % 60, time.tv_nsec / 1_000_000)
    }
}
