/// Waits until `condition` holds. Tests wait for what they need to see, never for time to pass; a condition that does not
/// come ends the test after a minute.
public func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NeverHappened(what: what) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// What a test waited for in vain.
public struct NeverHappened: Error, CustomStringConvertible {
    let what: String
    public var description: String { "waited a minute in vain: \(what)" }
}
