// SPDX-License-Identifier: BSD-3-Clause
public class Hello {
    public static void main(String[] args) {
        System.out.println("hello");
    }
}
