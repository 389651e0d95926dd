import Foundation
import PackagePlugin

/// Puts the files of `Sources/Pages/site` into the target it is applied to, so that a worker is one file.
@main
struct EmbedPages: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        guard let folder = (target as? SourceModuleTarget)?.directoryURL.appending(path: "site") else { return [] }
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path())
            .sorted()
            .map { folder.appending(path: $0) }
            .filter { !$0.hasDirectoryPath && !$0.pathExtension.isEmpty }
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedPages.swift")
        return [
            .buildCommand(
                displayName: "Embedding \(files.count) files of web pages",
                executable: try context.tool(named: "embed-pages").url,
                arguments: [output.path(), folder.path()] + files.map { $0.path() },
                inputFiles: files,
                outputFiles: [output])
        ]
    }
}
