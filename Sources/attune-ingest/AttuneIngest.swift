import ArgumentParser

/// `attune-ingest`: takes security events in.
@main
struct AttuneIngest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "attune-ingest", abstract: "Takes security events in.")
}
