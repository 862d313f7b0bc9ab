// swift-tools-version:6.2
import PackageDescription

/// Kernels are 100 times slower without optimisation: these targets have it in debug builds and tests too. Whole-module
/// (into an object a file, as the package manager expects), since a debug build inlines nothing across files otherwise.
let optimized: SwiftSetting = .unsafeFlags(["-O", "-wmo", "-num-threads", "1"])

/// Exclusive access to members of classes is not looked after at run time: that is a fifth of a token mask's time.
let uncheckedExclusivity: SwiftSetting = .unsafeFlags(["-enforce-exclusivity=unchecked"])

/// One copy of the kernel sources for each instruction set; `flags` go to the compiler's code generation.
func kernels(_ name: String, define: String, flags: [String]) -> Target {
  .target(
    name: name, dependencies: ["CPlatform"],
    swiftSettings: [optimized, .define(define)]
      + (flags.isEmpty ? [] : [.unsafeFlags(flags.flatMap { ["-Xcc", $0] })]))
}

/// The instruction sets of the architecture this is built on.
let kernelTargets: [Target]
#if arch(x86_64)
  kernelTargets = [
    kernels("DormouseCPUBaseline", define: "ISA_BASELINE", flags: []),
    kernels("DormouseCPUAVX2", define: "ISA_AVX2", flags: ["-mavx2", "-mfma", "-mf16c"]),
    kernels(
      "DormouseCPUAVX512", define: "ISA_AVX512",
      flags: ["-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16", "-mprefer-vector-width=512"]),
  ]
#else
  kernelTargets = [
    kernels("DormouseCPUBaseline", define: "ISA_BASELINE", flags: []),
    kernels("DormouseCPUNEON", define: "ISA_NEON", flags: ["-march=armv8.2-a+dotprod"]),
  ]
#endif

/// json-c and PCRE2 are linked into the products, so that a host needs neither and never meets its own copy of them.
let staticLibraries: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "-l:libjson-c.a", "-Xlinker", "-l:libpcre2-8.a"])]

/// Calls of these go through CHost, which counts where they fail: json-c does not always tell.
let countedAllocations = ["malloc", "calloc", "realloc", "strdup", "free", "newlocale", "duplocale"]

/// The Swift runtime goes into the products too: neither needs an installed Swift.
let staticRuntime = ["-static-stdlib", "-use-ld=lld"]

/// A shared library shows the functions of its header, which its map lists, and nothing else.
func sharedLibrary(_ name: String, map: String) -> LinkerSetting {
  .unsafeFlags(
    staticRuntime
      + [
        "--version-script=\(Context.packageDirectory)/Sources/\(map)", "-soname", name, "-z", "defs", "--gc-sections",
      ].flatMap { ["-Xlinker", $0] })
}

/// FoundationEssentials, which ArgumentParser brings in, leaves it to its user to name its own two static libraries.
let commandLine: LinkerSetting = .unsafeFlags(staticRuntime + ["-l_FoundationCollections", "-l_FoundationCShims"])

let package = Package(
  name: "dormouse",
  products: [
    .library(name: "Dormouse", type: .dynamic, targets: ["DormouseLibrary"]),
    .library(name: "dormouse_media", type: .dynamic, targets: ["DormouseMediaLibrary"]),
    .library(name: "DormouseClient", targets: ["DormouseClient"]),
    .executable(name: "dormouse", targets: ["dormouse"]),
    .executable(name: "dormouse-kernels-bench", targets: ["dormouse-kernels-bench"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: kernelTargets + [
    .systemLibrary(name: "CDormouse", path: "include"),
    .systemLibrary(name: "CDormouseMedia"),
    .systemLibrary(name: "CFFmpeg"),
    .systemLibrary(name: "CJSON"),
    .systemLibrary(name: "CPCRE2"),
    .systemLibrary(name: "CImageLibraries"),
    .systemLibrary(name: "CZlib"),
    .target(name: "CJPEG", linkerSettings: [.linkedLibrary("jpeg")]),
    .target(name: "CPlatform"),
    .target(
      name: "CHost", cSettings: [.unsafeFlags(["-fexceptions"])],
      linkerSettings: [.unsafeFlags(countedAllocations.flatMap { ["-Xlinker", "--wrap=\($0)"] })]),
    .target(name: "DormouseSupport", dependencies: ["CHost", "CJSON", "CPlatform"], linkerSettings: staticLibraries),
    .target(
      name: "DormouseKernels",
      dependencies: ["DormouseSupport", "CPlatform"] + kernelTargets.map { .target(name: $0.name) },
      swiftSettings: [optimized]),
    .target(
      name: "DormouseGrammar", dependencies: ["DormouseSupport"], swiftSettings: [optimized, uncheckedExclusivity]),
    .target(name: "DormouseWeights", dependencies: ["DormouseSupport", "DormouseKernels"]),
    .target(name: "DormouseCache", dependencies: ["DormouseSupport", "DormouseKernels"], swiftSettings: [optimized]),
    .target(name: "DormouseText", dependencies: ["DormouseSupport", "CPCRE2"]),
    .target(
      name: "DormouseLayers",
      dependencies: ["DormouseSupport", "DormouseKernels", "DormouseWeights", "DormouseCache"],
      swiftSettings: [optimized]),
    .target(
      name: "DormouseModel",
      dependencies: ["DormouseSupport", "DormouseKernels", "DormouseWeights", "DormouseCache", "DormouseLayers"],
      swiftSettings: [optimized]),
    .target(
      name: "DormouseAudio", dependencies: ["DormouseSupport", "DormouseKernels", "DormouseLayers"],
      swiftSettings: [optimized]),
    .target(
      name: "DormouseSpeech",
      dependencies: [
        "CZlib", "DormouseSupport", "DormouseKernels", "DormouseWeights", "DormouseText", "DormouseLayers",
        "DormouseAudio",
      ],
      swiftSettings: [optimized], linkerSettings: [.unsafeFlags(["-Xlinker", "-l:libz.a"])]),
    .target(
      name: "DormouseMedia",
      dependencies: [
        "CDormouse", "CDormouseMedia", "CPlatform", "DormouseSupport", "DormouseKernels", "DormouseWeights",
        "DormouseLayers", "DormouseAudio",
      ],
      swiftSettings: [optimized]),
    .target(
      name: "DormouseEngine",
      dependencies: [
        "DormouseSupport", "DormouseKernels", "DormouseWeights", "DormouseCache", "DormouseText", "DormouseModel",
        "DormouseAudio", "DormouseSpeech", "DormouseMedia", "DormouseGrammar",
      ]),
    .target(name: "DormouseBoundary", dependencies: ["CDormouse", "DormouseSupport"]),
    .target(
      name: "DormouseABI",
      dependencies: [
        "CDormouse", "DormouseSupport", "DormouseKernels", "DormouseCache", "DormouseLayers", "DormouseSpeech",
        "DormouseMedia", "DormouseEngine", "DormouseBoundary", "DormouseGrammar",
      ]),
    // Linker settings go to every product that holds their target, test bundles included: so the shared library's have
    // a target of their own.
    .target(
      name: "DormouseLibrary", dependencies: ["DormouseABI"], exclude: ["dormouse.map"],
      linkerSettings: [sharedLibrary("libdormouse.so.0", map: "DormouseLibrary/dormouse.map")]),
    // FFmpeg stands in a library of its own, which the core loads when it meets the first media file.
    .target(
      name: "DormouseMediaFiles",
      dependencies: [
        "CDormouse", "CDormouseMedia", "CFFmpeg", "CJPEG", "CImageLibraries", "DormouseBoundary", "DormouseSupport",
      ],
      swiftSettings: [optimized]),
    .target(
      name: "DormouseMediaLibrary", dependencies: ["DormouseMediaFiles"], exclude: ["dormouse_media.map"],
      linkerSettings: [sharedLibrary("libdormouse_media.so.0", map: "DormouseMediaLibrary/dormouse_media.map")]),
    // Imports the header alone: whoever links it brings the library, the command line as objects, others by pkg-config.
    .target(name: "DormouseClient", dependencies: ["CDormouse"]),
    .executableTarget(
      name: "dormouse",
      dependencies: [
        "DormouseABI", "DormouseClient", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      linkerSettings: [commandLine]),
    .executableTarget(
      name: "dormouse-kernels-bench", dependencies: ["DormouseKernels", "DormouseMedia", "DormouseSupport"],
      path: "Benchmarks/Kernels",
      swiftSettings: [.unsafeFlags(["-O"])]),
    .testTarget(name: "DormouseSupportTests", dependencies: ["CHost", "DormouseSupport"]),
    .testTarget(name: "DormouseGrammarTests", dependencies: ["DormouseGrammar", "DormouseSupport"]),
    .testTarget(name: "DormouseKernelsTests", dependencies: ["DormouseKernels", "DormouseSupport"]),
    .testTarget(name: "DormouseWeightsTests", dependencies: ["DormouseSupport", "DormouseWeights"]),
    .testTarget(
      name: "DormouseCacheTests", dependencies: ["DormouseCache", "DormouseKernels", "DormouseSupport"]),
    .testTarget(name: "DormouseTextTests", dependencies: ["DormouseSupport", "DormouseText"]),
    .testTarget(
      name: "DormouseModelTests",
      dependencies: [
        "DormouseCache", "DormouseKernels", "DormouseLayers", "DormouseModel", "DormouseSupport", "DormouseWeights",
      ]),
    .testTarget(
      name: "DormouseAudioTests",
      dependencies: ["DormouseAudio", "DormouseKernels", "DormouseSupport", "DormouseWeights"]),
    .testTarget(
      name: "DormouseSpeechTests",
      dependencies: [
        "CPlatform", "DormouseAudio", "DormouseKernels", "DormouseLayers", "DormouseSpeech", "DormouseSupport",
        "DormouseWeights",
      ]),
    .testTarget(
      name: "DormouseMediaTests",
      dependencies: [
        "CDormouse", "CDormouseMedia", "CPlatform", "DormouseAudio", "DormouseKernels", "DormouseLayers",
        "DormouseMedia", "DormouseSupport", "DormouseWeights",
      ]),
    .testTarget(
      name: "DormouseMediaFilesTests", dependencies: ["CFFmpeg", "DormouseMediaFiles", "DormouseSupport"]),
    .testTarget(
      name: "DormouseEngineTests",
      dependencies: [
        "DormouseAudio", "DormouseCache", "DormouseEngine", "DormouseKernels", "DormouseMedia", "DormouseModel",
        "DormouseSpeech", "DormouseSupport", "DormouseText", "DormouseWeights",
      ]),
    .testTarget(
      name: "DormouseABITests", dependencies: ["CDormouse", "DormouseABI", "DormouseBoundary", "DormouseSupport"]),
    .testTarget(name: "DormouseClientTests", dependencies: ["DormouseABI", "DormouseClient"]),
  ],
  swiftLanguageModes: [.v6]
)

/// The tests run on the code that is shipped: a release build lets them in too, and the shared libraries' maps keep what
/// that shows to themselves. Not so the kernels, which tests reach by their table: it would give their objects weak code
/// that each set has under the same name (Tests/check-kernel-objects.sh). The tests' own code is not worth the time that
/// optimising it takes.
for target in package.targets {
  switch target.type {
  case .regular where !target.name.hasPrefix("DormouseCPU"):
    target.swiftSettings =
      (target.swiftSettings ?? []) + [.unsafeFlags(["-enable-testing"], .when(configuration: .release))]
  case .test:
    target.swiftSettings = (target.swiftSettings ?? []) + [.unsafeFlags(["-Onone"], .when(configuration: .release))]
  default: break
  }
}
