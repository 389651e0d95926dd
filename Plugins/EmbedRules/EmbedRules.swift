import Foundation
import PackagePlugin

/// Puts the rule files of `deploy/rules` into the target it is applied to, so that the daemon has them wherever it is
/// started from.
@main
struct EmbedRules: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        // Through the link in the target's own folder: SwiftPM looks there for new files, and then asks us again.
        guard let folder = (target as? SourceModuleTarget)?.directoryURL.appending(path: "rules") else { return [] }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path())
            .filter { $0.hasSuffix(".yml") }
            .sorted()
            .map { folder.appending(path: $0) }
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedRules.swift")
        return [
            .buildCommand(
                displayName: "Embedding \(files.count) rule files",
                executable: try context.tool(named: "embed-rules").url,
                arguments: [output.path()] + files.map { $0.path() },
                inputFiles: files,
                outputFiles: [output])
        ]
    }
}
