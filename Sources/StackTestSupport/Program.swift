import Development
import Foundation
import Synchronization
import TestSupport
import Wire

/// A program that a test has started, and the lines that it has written so far.
public final class Program: Sendable {
    public let child: ChildProcess
    private let written: Lines

    private final class Lines: Sendable {
        private let all = Mutex<(texts: [String], records: [JSON])>(([], []))

        func append(_ line: String) {
            let record = line.hasPrefix("{") ? try? JSON(parsing: line.utf8) : nil
            all.withLock {
                $0.texts.append(line)
                if let record { $0.records.append(record) }
            }
        }

        var texts: [String] { all.withLock { $0.texts } }
        var records: [JSON] { all.withLock { $0.records } }
    }

    public static func start(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = ProcessInfo.processInfo.environment,
        user: String? = nil
    ) async throws -> Program {
        let lines = Lines()
        let command = Command(
            executable, arguments, environment: environment, user: user,
            output: .lines { lines.append($0) })
        return Program(child: try await ChildProcess.start(command), written: lines)
    }

    private init(child: ChildProcess, written: Lines) {
        self.child = child
        self.written = written
    }

    public var lines: [String] { written.texts }

    /// The lines that are JSON objects, of at most 64 KiB each; whatever else the program says is left out.
    public var records: [JSON] { written.records }

    /// Waits for a line that begins with `prefix`. Throws what the program has written when it ends instead.
    public func waitForLine(_ prefix: String) async throws {
        try await wait("a line '\(prefix)…'") { lines.contains { $0.hasPrefix(prefix) } }
    }

    /// Waits until `condition` holds. Throws what the program has written when it ends instead, or does not get there.
    public func wait(_ what: String, _ condition: () throws -> Bool) async throws {
        do {
            try await eventually(what) {
                let isOver = child.hasEnded
                if try condition() { return true }
                if isOver { throw ProgramEnded() }
                return false
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw WaitedInVain(what: what, reason: "\(error)", lastLines: lines.suffix(20).map { String($0.prefix(500)) })
        }
    }

    /// Kills it, unless it has ended, and waits for its end.
    public func end() async {
        child.send(SIGKILL)
        _ = await child.wait()
    }

    private struct ProgramEnded: Error, CustomStringConvertible {
        var description: String { "the program has ended" }
    }
}

/// What a test waited for in vain, and what the program has written last.
public struct WaitedInVain: Error, CustomStringConvertible {
    let what: String
    let reason: String
    let lastLines: [String]
    public var description: String { "no \(what): \(reason)\n\(lastLines.joined(separator: "\n"))" }
}
