import PackagePlugin

/// Makes `allFunctions` from the files of the target it is applied to, so that a new function is one new file.
@main
struct ListFunctions: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        guard let target = target as? SourceModuleTarget else { return [] }
        let files = target.sourceFiles(withSuffix: ".swift").map(\.url)
        let output = context.pluginWorkDirectoryURL.appending(path: "FunctionList.swift")
        return [
            .buildCommand(
                displayName: "Listing \(files.count) functions",
                executable: try context.tool(named: "list-functions").url,
                arguments: [output.path()] + files.map { $0.path() },
                inputFiles: files,
                outputFiles: [output])
        ]
    }
}
