import ArgumentParser

/// `attune-metrics`: the aggregator. Settings come from the environment; see docs/settings.md.
@main
struct AttuneMetrics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "attune-metrics", abstract: "Adds up what workers report.")

    func run() async throws {}
}
