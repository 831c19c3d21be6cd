/** Runs one of Gerrit's programs, as the launcher in its war does. */
public class Launch {
  public static void main(String[] args) throws Exception {
    Object program = Class.forName("com.google.gerrit.pgm." + args[0]).getDeclaredConstructor().newInstance();
    String[] rest = java.util.Arrays.copyOfRange(args, 1, args.length);
    Object code = Class.forName("com.google.gerrit.pgm.util.AbstractProgram").getMethod("main", String[].class).invoke(program, (Object) rest);
    System.exit((Integer) code);
  }
}
