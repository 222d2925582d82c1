// A stand-in for Jenkins: executes the declarative pipeline in the Jenkinsfile of this folder, on the Groovy that Jenkins
// has inside. It knows the sections, conditions and steps that the template uses, and no others: a misspelt one ends it,
// as Jenkins would. Stages run one after the other; `sh` is a real bash. What Jenkins alone has (agents, credentials,
// containers) is noted, and a credential is what stands in the environment under its variable's name.
//
// groovy jenkins.groovy: prints a line `STAGE name ok|failed` for each stage that ran; exits with 1 if one failed.

class Section { // collects the sections of a pipeline or a stage, each a closure, before any runs
  String name
  Map sections = [:]
  Map<String, Section> children = [:]
  static final KNOWN = ['agent', 'options', 'triggers', 'environment', 'when', 'input', 'steps', 'post']

  def stages(Closure body) { nested(body) }
  def parallel(Closure body) { nested(body) }
  def stage(String title, Closure body) { children[title] = new Section(name: title).read(body) }
  def nested(Closure body) { body.delegate = this; body.resolveStrategy = Closure.DELEGATE_FIRST; body() }
  def read(Closure body) { nested(body); this }

  def methodMissing(String section, arguments) {
    if (!(section in KNOWN)) throw new MissingMethodException(section, Section, arguments as Object[])
    sections[section] = arguments[0]
  }
  def getAny() { 'any' }
  def getNone() { 'none' }
}

class Assignments { // environment { NAME = value }
  Map environment
  void setProperty(String name, value) { environment[name] = value.toString() }
  def getProperty(String name) { name == 'env' ? environment : environment[name] }
}

class Conditions { // when { ... }: all must hold
  Map environment
  List<Boolean> results = []
  Script script

  def branch(String name) { results << (environment.BRANCH_NAME == name) }
  def branch(Map how) { results << matches(how, environment.BRANCH_NAME) }
  def tag(Map how) { results << matches(how, environment.TAG_NAME) }
  def buildingTag() { results << (environment.TAG_NAME != null) }
  def triggeredBy(String cause) { results << (environment.CAUSE == cause) }
  def expression(Closure body) { body.delegate = script; results << (body() as boolean) }
  def beforeInput(boolean first) { }
  def not(Closure body) { results << !inner(body).every() }
  def anyOf(Closure body) { results << inner(body).any() }
  def allOf(Closure body) { results << inner(body).every() }
  def inner(Closure body) { new Conditions(environment: environment, script: script).holding(body) }
  def holding(Closure body) {
    body.delegate = this
    body.resolveStrategy = Closure.DELEGATE_FIRST
    body()
    results
  }
  private matches(Map how, String text) {
    assert how.comparator == 'REGEXP'
    text != null && text ==~ how.pattern
  }
}

class Container {
  Map environment
  def withRun(String options, String command = '', Closure body) { body(this) }
  def port(int number) { environment["PORT_${number}" as String] ?: "127.0.0.1:${number}" }
}

abstract class Jenkins extends Script {
  static Map environment = new HashMap(System.getenv())
  static boolean failed = false
  static File folder = new File('.').absoluteFile

  def getEnv() { environment }
  def getDocker() { this }
  def getScm() { [userRemoteConfigs: [[url: environment.REPOSITORY, credentialsId: 'repository']]] }
  def image(String name) { new Container(environment: environment) }

  def pipeline(Closure body) {
    def read = new Section(name: 'pipeline').read(body)
    run(read)
    System.exit(failed ? 1 : 0)
  }

  def run(Section section) {
    ['options', 'triggers'].each { noted(section.sections[it]) }
    environment(section)
    if (section.sections.when && !new Conditions(environment: environment, script: this).holding(section.sections.when).every()) return
    if (section.sections.input) println "INPUT ${section.name}"
    def before = failed
    try {
      section.children.values().each { child -> if (!failed || !before && isCheck(section)) run(child) }
      if (section.sections.steps) steps(section.sections.steps)
      if (section.sections.steps) println "STAGE ${section.name} ok"
    } catch (Failure failure) {
      failed = true
      println "STAGE ${section.name} failed"
    } finally {
      if (section.sections.post) steps(section.sections.post)
    }
  }

  static isCheck(Section section) { section.name == 'Check' } // its stages are parallel: each runs, whatever the others do

  def environment(Section section) {
    if (!section.sections.environment) return
    Closure body = section.sections.environment
    body.delegate = new Assignments(environment: environment)
    body.resolveStrategy = Closure.DELEGATE_ONLY
    body()
  }

  def steps(Closure body) {
    body.delegate = this
    body.resolveStrategy = Closure.DELEGATE_FIRST
    body()
  }
  def noted(body) { if (body) steps(body) }
  def always(Closure body) { steps(body) }
  def script(Closure body) { steps(body) }

  def buildDiscarder(what) { }
  def logRotator(Map how) { }
  def disableConcurrentBuilds() { }
  def timeout(Map how) { }
  def timeout(Map how, Closure body) { steps(body) }
  def cron(String when) { println "CRON '${when}'" }

  def dir(String path, Closure body) {
    def before = folder
    folder = new File(path)
    try { steps(body) } finally { folder = before }
  }
  def deleteDir() { folder.deleteDir() }

  def checkout(Map how) { // as the git plugin does: the job's credentials, a fetch of what is asked for, and a detached HEAD
    assert how.scm.$class == 'GitSCM'
    def remote = how.scm.userRemoteConfigs[0]
    assert remote.credentialsId == 'repository'
    folder.mkdirs()
    sh "git init --quiet && git fetch --quiet --no-tags --prune '${remote.url}' ${remote.refspec.split(' ').collect { "'${it}'" }.join(' ')}"
    sh "git checkout --quiet --detach '${how.scm.branches[0].name}'"
  }

  def sh(command) {
    println "+ ${command}"
    def process = new ProcessBuilder('bash', '-e', '-c', command.toString()).directory(folder).redirectErrorStream(true)
    process.environment().clear()
    process.environment().putAll(environment.findAll { it.value != null })
    def running = process.start()
    running.inputStream.eachLine { println it }
    if (running.waitFor()) throw new Failure(command)
  }
  def withEnv(List<String> variables, Closure body) {
    def before = new HashMap(environment)
    variables.each { String each -> environment.put(*each.split('=', 2)) }
    try { steps(body) } finally { environment = before }
  }
  def withCredentials(List<String> variables, Closure body) {
    variables.flatten().each { assert environment[it], "no credential ${it}" }
    steps(body)
  }
  def usernamePassword(Map how) { [how.usernameVariable, how.passwordVariable] }
  def file(Map how) { how.variable }
  def junit(String path) { assert new File(path).exists() }
  def archiveArtifacts(String path) { assert new File(path).exists() }
  def fileExists(String path) { new File(path).exists() }
  def load(String path) { shell(binding).evaluate(new File(path)) }

  static shell(Binding binding) {
    def configuration = new org.codehaus.groovy.control.CompilerConfiguration()
    configuration.scriptBaseClass = Jenkins.name
    new GroovyShell(Jenkins.classLoader, binding, configuration)
  }
}

class Failure extends RuntimeException { Failure(String command) { super(command) } }

Jenkins.shell(new Binding()).evaluate(new File('Jenkinsfile'))
