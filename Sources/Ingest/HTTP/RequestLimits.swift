/// What one daemon puts up with over HTTP.
struct RequestLimits: Sendable {
    /// Bytes of a request's body as it comes, compressed or not.
    var body = 8 << 20
    /// Bytes of a compressed body once it is inflated.
    var inflatedBody = 32 << 20
    var events = 50_000
    /// Bytes of all bodies that are being received or stored.
    var bodiesUnderWay = 64 << 20
    /// Connections. One more closes the one that has been idle longest.
    var connections = 4000
    /// From a connection's beginning to the end of its first request's header.
    var firstHeader: Duration = .seconds(10)
    /// Between two requests on a connection.
    var idle: Duration = .seconds(60)
    /// From a request's header to the end of its body.
    var request: Duration = .seconds(120)
    /// What remains of a body when the answer is out already.
    var remainder: Duration = .seconds(5)
    /// Rejections that an answer tells of one by one.
    var rejectionsTold = 100
}
