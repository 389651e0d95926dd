/// What one worker puts up with. What is over a limit is refused in words that stock clients know, so that they come again
/// later or to another worker.
public struct ConnectionLimits: Sendable {
    /// Sync sockets of the worker; one more gets 503, and a proxy asks the next worker.
    public var sockets = 20_000
    /// Bytes that may wait for one client to read them, when more come: then its socket is closed. A single message may be
    /// larger.
    public var unreadBytes = 16 << 20
    /// The same for all sockets together. Beyond it a socket is closed that adds to what it has waiting.
    public var totalUnreadBytes = 512 << 20
    /// How long a client may take nothing of what waits for it.
    public var readingPause: Duration = .seconds(60)
    /// How often a client is sent a ping. Rust clients give up after 30 seconds without one.
    public var pingInterval: Duration = .seconds(12)
    /// How long nothing at all may come from a client; it answers pings.
    public var silence: Duration = .seconds(120)

    /// How long a proxy's idle connection stays open when the worker stops. Longer than the proxy keeps it for other calls
    /// (`keepalive_timeout` in deploy/nginx/attune.conf), for the proxy cannot repeat a call that meets a closing connection.
    public var proxyIdle: Duration = .seconds(7)
    /// When the worker stops, so much time lies between two sockets' ends on average, that their clients do not come to the
    /// other workers all at once.
    public var farewellInterval: Duration = .milliseconds(1)
    /// However many sockets there are, saying good-bye to all takes no longer.
    public var longestFarewell: Duration = .seconds(12)

    public init() {}
}
