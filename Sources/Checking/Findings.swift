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

/// The last of many lines.
final class RecentLines: Sendable {
    private let lines = Mutex<[String]>([])
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
    }

    func append(_ line: String) {
        lines.withLock { lines in
            lines.append(line)
            if lines.count > 2 * capacity { lines.removeFirst(lines.count - capacity) }
        }
    }

    var list: [String] { lines.withLock { Array($0.suffix(capacity)) } }
}

/// What one client said and heard lately, to be printed beside a finding. Secrets do not get here.
final class ClientHistory: Sendable {
    private let lines = RecentLines(capacity: 60)
    private static let lineLength = 600

    func note(_ line: String) {
        let text = line.utf8.count > Self.lineLength ? String(line.prefix(Self.lineLength)) + "…" : line
        lines.append("\(Self.clock()) \(text)")
    }

    var list: [String] { lines.list }

    /// Time of day in UTC, as the workers' logs have it.
    private static func clock() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let seconds = time.tv_sec % 86_400
        return String(
            format: "%02d:%02d:%02d.%03d", seconds / 3600, seconds / 60 % 60, seconds % 60, time.tv_nsec / 1_000_000)
    }
}
