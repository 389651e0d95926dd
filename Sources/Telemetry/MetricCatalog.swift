/// What a metric means.
public struct MetricDescription: Sendable {
    /// As on the page.
    public let name: String
    /// For its `# HELP` line: one sentence.
    public let help: String
    /// Upper bounds of a histogram, ascending, without infinity. Nil: those of its kind.
    public let buckets: [Double]?

    public init(_ name: String, _ help: String, buckets: [Double]? = nil) {
        self.name = name
        self.help = help
        self.buckets = buckets
    }
}

/// Every metric that our daemons serve. docs/monitoring.md has the same list; tests compare it with that and with the sources.
public enum MetricCatalog {
    /// Those of all daemons.
    public static let all = worker + events + aggregation + process

    /// Of `attune-api`.
    static let worker: [MetricDescription] = [
        .init(
            "attune_function_runs_total", "Runs of functions, by what came of them; live queries that run again included."),
        .init("attune_function_duration_seconds", "How long runs of functions took."),
        .init("attune_sockets", "Sync sockets that are open."),
        .init("attune_live_queries", "Distinct queries that somebody watches."),
        .init("attune_live_query_runs_total", "Runs of live queries: one serves all who watch the same."),
        .init("attune_transitions_total", "Transitions sent to clients."),
        .init("attune_tick_duration_seconds", "How long ticks took, from the snapshot to the last Transition."),
        .init("attune_ticks_repeated_total", "Ticks begun anew, since their snapshot did not see a commit that was decoded."),
        .init("attune_feed_connected", "1: the worker hears of each commit; 0: it looks at snapshots now and then, or connects."),
        .init("attune_feed_slots", "1: the worker reads the log through a replication slot of its own; 0: another one relays."),
        .init("attune_events_lost_total", "Security events of the worker itself that its spool could not take."),
        .init("attune_usage_reports_failed_total", "Attempts to store a report of calls and activity that failed."),
        .init("attune_usage_facts_lost_total", "Calls and activities that no report could take, and no number counts."),
    ]

    /// Of `attune-ingest`; those of the spool also of `attune-api`, for the worker's own events.
    static let events: [MetricDescription] = [
        .init("attune_ingest_received_total", "Security events that were accepted since the start, by input."),
        .init("attune_ingest_events", "The ledger of the spool: what became of all events that it ever got, by input."),
        .init("attune_ingest_lag_seconds", "How long the oldest event that PostgreSQL does not have has been waiting."),
        .init("attune_ingest_batch_duration_seconds", "How long it took to store a batch of events."),
        .init("attune_ingest_spool_bytes", "What the spool takes on the disk."),
        .init("attune_ingest_spool_budget_bytes", "What the spool may take on the disk."),
        .init("attune_ingest_spool_disk_available_bytes", "What is free on the spool's disk."),
        .init("attune_ingest_connections", "Connections that are open, by input."),
        .init("attune_ingest_connections_refused_total", "Connections closed at once, since there were too many, by input."),
        .init("attune_ingest_datagrams_lost_total", "Syslog datagrams that the kernel or the daemon dropped."),
        .init("attune_ingest_ignored_total", "Log lines that a rule says are no events."),
        .init("attune_detections_raised_total", "Alarms raised, by rule."),
        .init("attune_security_events_counted_total", "Stored events added to the totals that administrators see."),
    ]

    /// Of `attune-metrics`.
    static let aggregation: [MetricDescription] = [
        .init("attune_aggregation_leading", "1: this process did the last turn; 0: it stands by."),
        .init("attune_aggregation_lag_seconds", "How long the oldest facts that are not added up have been waiting."),
        .init(
            "attune_aggregation_last_turn_timestamp_seconds",
            "When the last turn ended well, as the leader or standing by, in seconds since 1970; 0 before the first."),
        .init(
            "attune_aggregation_turn_duration_seconds", "How long turns took, as the leader.",
            buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]),
        .init("attune_aggregation_turns_failed_total", "Turns that failed; what they did was undone."),
        .init("attune_aggregation_facts_total", "Facts added up, by kind."),
        .init("attune_database_size_bytes", "Size of the database; of the leader only."),
        .init("attune_security_level", "Security level: 0 low, 1 guarded, 2 elevated, 3 high, 4 critical; of the leader only."),
    ]

    /// Of all, under the names that Prometheus' client libraries use.
    static let process: [MetricDescription] = [
        .init("attune_build_info", "1, with the program's version as a label."),
        .init("process_cpu_seconds_total", "Processor time used, user and system."),
        .init("process_resident_memory_bytes", "Memory in use."),
        .init("process_virtual_memory_bytes", "Address space in use."),
        .init("process_open_fds", "Open files and sockets."),
        .init("process_max_fds", "Files and sockets that may be open at once."),
        .init("process_start_time_seconds", "When the process started, in seconds since 1970."),
    ]
}
