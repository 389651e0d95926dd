/// What one caller sends at once: statements that succeed or fail together, and where the answer goes.
///
/// A unit ends with a sync point of its own. PostgreSQL runs the statements between two sync points as one implicit
/// transaction, and forgets an error at the next one, so that a unit's failure does not touch its neighbours.
struct Unit: Sendable {
    var statements: [BoundStatement]
    /// How long it may run before it is cancelled.
    var timeout: Duration
    /// Called once, on the reactor.
    var completion: @Sendable (Result<[QueryResult], PostgresError>) -> Void
    /// Set when it was sent again after an error that is ours to mend.
    var attempts = 0
}
