import Foundation
import PackagePlugin

/// Puts the files of the top-level `migrations` folder into the target it is applied to, so that an executable has them
/// wherever it is started from.
@main
struct EmbedMigrations: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        // Through the link in the target's own folder: SwiftPM looks there for new files, and then asks us again.
        guard let folder = (target as? SourceModuleTarget)?.directoryURL.appending(path: "migrations") else { return [] }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path())
            .filter { $0.hasSuffix(".sql") }
            .sorted()
            .map { folder.appending(path: $0) }
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedMigrations.swift")
        return [
            .buildCommand(
                displayName: "Embedding \(files.count) migrations",
                executable: try context.tool(named: "embed-migrations").url,
                arguments: [output.path()] + files.map { $0.path() },
                inputFiles: files,
                outputFiles: [output])
        ]
    }
}
